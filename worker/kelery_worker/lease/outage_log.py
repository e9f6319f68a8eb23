"""Logs an outage of the ledger: at its start, every 30 seconds, and at its end."""

from __future__ import annotations

import time

from kelery_worker.relayed_log import logger

_AGAIN_SECONDS = 30.0


class OutageLog:
    """Receives each failure and each success; used by one thread."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._said_at = 0.0

    def failed(self, error: Exception) -> None:
        """The ledger did not answer."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        elif now - self._said_at < _AGAIN_SECONDS:
            return
        self._said_at = now
        logger.warning("the ledger does not answer: %s", error)

    def answered(self) -> None:
        """The ledger answered."""
        if self._since is not None:
            logger.warning("the ledger answers again after %.0f s", time.monotonic() - self._since)
            self._since = None
