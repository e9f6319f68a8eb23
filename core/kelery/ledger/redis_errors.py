"""Translates exceptions of redis-py into errors of Kelery."""

from __future__ import annotations

from redis import exceptions as redis_exceptions

from kelery.errors import LedgerError, LedgerTooOld, LedgerUnavailable, RunConflict


class LibraryMissing(LedgerError):
    """The library is not loaded, or is older than the caller: load it and call again."""


def translate(error: redis_exceptions.RedisError) -> LedgerError:
    """The error to raise instead of `error`."""
    text = str(error)
    if isinstance(error, redis_exceptions.AuthenticationError):
        return LedgerUnavailable(f"Redis rejected the credentials: {text}")
    if isinstance(error, (redis_exceptions.ConnectionError, redis_exceptions.TimeoutError)):
        return LedgerUnavailable(f"Redis did not answer: {text}")
    if "KELERY_CONFLICT" in text:
        return RunConflict(text.partition("KELERY_CONFLICT ")[2])
    if "KELERY_OUTDATED" in text or "Function not found" in text:
        return LibraryMissing(text)
    if "unknown command" in text.lower():
        return LedgerTooOld(f"Kelery needs Redis 7 or Valkey 7.2, or newer: {text}")
    return LedgerUnavailable(f"Redis refused: {text}")
