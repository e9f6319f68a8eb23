"""The credentials of a process: read once, read again when they may have changed, and after a refusal.

Reading blocks: it reads files and may run a plug-in. Any number of threads share one reading. `off_loop`
keeps it off the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from kelery.errors import KeleryError, SettingsError
from kelery.kube.credentials import Credentials
from kelery.kube.kubeconfig import from_kubeconfig
from kelery.kube.service_account import ACCOUNT, from_service_account, has_service_account

logger = logging.getLogger("kelery.kube")

Result = TypeVar("Result")

#: Files may change: Kubernetes renews a pod's token some minutes before it expires.
_FILES_SECONDS = 60.0
#: How long before their expiry credentials are renewed.
_MARGIN_SECONDS = 10.0
#: The pause after a reading that failed, or that returned credentials which are refused too.
_PAUSE_SECONDS = 5.0


def load_credentials(environ: Mapping[str, str], *, account: Path = ACCOUNT) -> Credentials:
    """From KUBECONFIG; else from the pod's service account; else from ~/.kube/config."""
    named = [Path(part) for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    if named:
        return from_kubeconfig(named, environ=environ)
    if has_service_account(environ, account=account):
        return from_service_account(environ, account=account)
    own = Path(environ.get("HOME", "~")).expanduser() / ".kube" / "config"
    if own.exists():
        return from_kubeconfig([own], environ=environ)
    raise SettingsError("no cluster is configured: run in a pod with a service account, or set KUBECONFIG")


class Login:
    """The credentials of a process at the API server. Sessions that share a login share its readings."""

    def __init__(self, read: Callable[[], Credentials], *, clock: Callable[[], float] = time.time) -> None:
        """`clock` returns seconds since 1970, because credentials expire by wall clock."""
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: Credentials | None = None
        self._due = 0.0
        self._renewed_at = self._failed_at = float("-inf")
        self._failure: KeleryError | None = None

    def fresh(self) -> Credentials | None:
        """The credentials, or None if they must be read again. Never blocks."""
        kept = self._kept
        return kept if kept is not None and self._clock() < self._due else None

    def credentials(self) -> Credentials:
        """The credentials, read again if it is time. Valid ones are kept if the reading fails."""
        with self._lock:
            if (fresh := self.fresh()) is not None:
                return fresh
            try:
                return self._read_again()
            except KeleryError as error:
                kept, now = self._kept, self._clock()
                if kept is None or (kept.expires_at is not None and now >= kept.expires_at):
                    raise
                logger.warning("cannot renew the credentials for the API server yet: %s", error)
                self._due = now + _PAUSE_SECONDS
                return kept

    def renew(self, *, refused: Credentials) -> Credentials:
        """New credentials instead of `refused`; returns `refused` itself if there are no others yet."""
        with self._lock:
            now = self._clock()
            if self._kept is not refused and (fresh := self.fresh()) is not None:
                return fresh
            if self._kept is refused and 0 <= now - self._renewed_at < _PAUSE_SECONDS:
                return refused
            kept = self._read_again()
            self._renewed_at = now
            return kept

    def _read_again(self) -> Credentials:
        if self._failure is not None and 0 <= self._clock() - self._failed_at < _PAUSE_SECONDS:
            raise self._failure.with_traceback(None)
        try:
            self._kept = self._read()
        except KeleryError as error:
            self._failure, self._failed_at = error, self._clock()
            raise
        self._failure = None
        self._due = _due(self._kept, self._clock())
        return self._kept


def off_loop(work: Callable[[], Result]) -> asyncio.Future[Result]:
    """Run blocking work in its own thread. Neither a cancellation nor the end of the process waits for it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
            # Mark it as retrieved: nobody may be waiting any more.
            future.exception()
        else:
            future.set_result(result)  # type: ignore[arg-type]  # None only if that is the result

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as caught:
            error = caught
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            # The loop is closed.
            return

    threading.Thread(target=run, name="kelery-login", daemon=True).start()
    return future


def _due(credentials: Credentials, now: float) -> float:
    if credentials.expires_at is None:
        return now + _FILES_SECONDS
    left = credentials.expires_at - now
    # Credentials that live less than the margin are used for half of their time, but at least for a second.
    return now + max(left - _MARGIN_SECONDS, left / 2, 1.0)
