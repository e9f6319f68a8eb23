"""Keeps the ledger's time: lets due timers act and takes the claims of dead workers away. Workers do the
same; it is idempotent, and nobody has to be the one.
"""

from __future__ import annotations

import asyncio
import logging
import time

from kelery.errors import LedgerError
from kelery.ledger import calls
from kelery.ledger.aio import Ledger
from kelery.ledger.observer import LeaseObserver
from kelery_operator.metrics import Metrics

logger = logging.getLogger(__name__)

_TICK_SECONDS = 0.5
#: The ledger acts on so many timers at most; then there may be more.
_FULL_BATCH = 200


class Keeper:
    """One per operator."""

    def __init__(self, ledger: Ledger, *, stand_still: float, metrics: Metrics) -> None:
        self._ledger = ledger
        self._observer = LeaseObserver(stand_still=stand_still)
        self._metrics = metrics

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            try:
                done = await self._tick()
            except LedgerError:
                self._observer.forget()
                done = 0
            except Exception:
                logger.exception("a tick failed")
                self._observer.forget()
                done = 0
            if done < _FULL_BATCH:
                await asyncio.sleep(_TICK_SECONDS)

    async def _tick(self) -> int:
        before = time.monotonic()
        ticked = await self._ledger.run(calls.tick(leases=True))
        for uid, lease in self._observer.observe(ticked.leases, before):
            taken = await self._ledger.run(calls.reclaim(uid, lease))
            self._metrics.reclaims.labels("taken" if taken else "moved").inc()
            if taken:
                logger.warning("a worker's claim stood still and was taken away", extra={"run": uid})
        return ticked.done
