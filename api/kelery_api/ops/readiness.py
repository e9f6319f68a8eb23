"""Whether the gateway is ready: the last tick of the ledger succeeded, and its event stream is followed.

A readiness check sends no request to Redis.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from kelery.errors import LedgerError, LedgerTooOld
from kelery_api.ops.metrics import Metrics

logger = logging.getLogger("kelery.api")

#: Ticks happen twice a second, and a tick without a response times out before this.
_STALE_SECONDS = 5.0


class Readiness:
    """Records ticks, and reports why the gateway is not ready."""

    def __init__(self, *, metrics: Metrics, is_following: Callable[[], bool]) -> None:
        self._metrics = metrics
        self._is_following = is_following
        self._ledger = "starting: the ledger has not responded yet"
        self._ticked = time.monotonic()
        self._is_out = False

    def ticked(self, error: LedgerError | None) -> None:
        """Record a tick and its error, if it failed."""
        self._ticked = time.monotonic()
        self._metrics.ledger_up.set(0 if error else 1)
        self._log_outage(error)
        if error is None:
            self._ledger = ""
        else:
            # The message of LedgerTooOld names the fix. Messages of other errors can name hosts.
            too_old = isinstance(error, LedgerTooOld)
            self._ledger = str(error) if too_old else "the ledger (Redis) does not respond"

    def _log_outage(self, error: LedgerError | None) -> None:
        """Log the start of each outage with its cause, and its end."""
        if error is not None and not self._is_out:
            logger.warning("the ledger is unavailable: %s", error)
        elif error is None and self._is_out:
            logger.info("the ledger is available again")
        self._is_out = error is not None

    def why_not(self) -> str:
        """Why the gateway is not ready; empty if it is."""
        if self._ledger:
            return self._ledger
        if time.monotonic() - self._ticked > _STALE_SECONDS:
            return f"the gateway has not called the ledger for {_STALE_SECONDS:g} seconds"
        return "" if self._is_following() else "the gateway does not follow the ledger's event stream"
