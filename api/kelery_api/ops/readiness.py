"""Whether the gateway can serve: what the last tick of the ledger said, and whether its stream is followed.

Asking costs nothing: no request, however many there are, makes another one to Redis.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from kelery.errors import LedgerError, LedgerTooOld
from kelery_api.ops.metrics import Metrics

logger = logging.getLogger("kelery.api")

#: Ticks come twice a second, and one that is not answered fails before this.
_STALE_SECONDS = 5.0


class Readiness:
    """Is told of ticks; tells why the gateway is not ready."""

    def __init__(self, *, metrics: Metrics, is_following: Callable[[], bool]) -> None:
        self._metrics = metrics
        self._is_following = is_following
        self._ledger = "starting: the ledger was not asked yet"
        self._ticked = time.monotonic()
        self._is_out = False

    def ticked(self, error: LedgerError | None) -> None:
        """The ledger has answered, or has not."""
        self._ticked = time.monotonic()
        self._metrics.ledger_up.set(0 if error else 1)
        self._log_outage(error)
        if error is None:
            self._ledger = ""
        else:
            # The words of a LedgerTooOld say what to install; those of others may name hosts.
            self._ledger = str(error) if isinstance(error, LedgerTooOld) else "the ledger does not answer"

    def _log_outage(self, error: LedgerError | None) -> None:
        """Each outage once, with its cause, and its end."""
        if error is not None and not self._is_out:
            logger.warning("the ledger does not answer: %s", error)
        elif error is None and self._is_out:
            logger.info("the ledger answers again")
        self._is_out = error is not None

    def why_not(self) -> str:
        """Empty if it is ready."""
        if self._ledger:
            return self._ledger
        if time.monotonic() - self._ticked > _STALE_SECONDS:
            return "the ledger was not asked for a while"
        return "" if self._is_following() else "the ledger's stream is not followed"
