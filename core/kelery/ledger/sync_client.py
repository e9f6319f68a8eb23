"""The ledger over a blocking connection; used by the worker."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import redis
from redis import exceptions as redis_exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from kelery.errors import LedgerError
from kelery.ledger.client import LedgerClient, connection_options
from kelery.ledger.commands import Call

T = TypeVar("T")


def connect(url: str, *, timeout_seconds: float, client_name: str) -> redis.Redis:
    """A client with text answers; one repeat for a connection that the server closed meanwhile."""
    client: redis.Redis = redis.Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis_exceptions.ConnectionError,)),
        **connection_options(timeout_seconds=timeout_seconds, client_name=client_name),
    )
    return client


class Ledger:
    """`LedgerClient`, whose methods say what these do, without asyncio."""

    def __init__(self, client: redis.Redis, *, prefix: str) -> None:
        #: redis-py's own types do not cover raw commands and pipelines.
        self.client: Any = client
        self.prefix = prefix
        self._steps = LedgerClient(client, prefix=prefix, reply=_at_once)

    def run(self, call: Call[T]) -> T:
        """Make one call; raises LedgerError."""
        # Only an error is worth a coroutine: it would cost each call 7 % more processor time.
        try:
            reply = self.client.execute_command(*call.words(self.prefix))
        except redis_exceptions.RedisError as error:
            return _result(self._steps.after_error(error, call))
        return call.parse(reply)

    def run_all(self, calls: Sequence[Call[T]]) -> list[T | LedgerError]:
        """Make many calls in order in one round trip; an error of one is among the answers."""
        return _result(self._steps.run_all(calls))

    def load_library(self) -> None:
        """Make sure that the library is at least our revision; never replaces a newer one."""
        _result(self._steps.load_library())


async def _at_once(reply: Any) -> Any:
    return reply


def _result(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("a call over a blocking connection was suspended")
