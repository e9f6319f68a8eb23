"""Keeps the ledger's time: lets due timers act and takes the claims of dead workers away.

Every operator and every gateway has one, and each worker's keeper does the same; it is idempotent, and nobody
has to be the one. What came of it is told to callables, so that each process counts as it likes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from kelery.errors import LedgerError
from kelery.ledger import commands
from kelery.ledger.async_client import Ledger
from kelery.ledger.lease_observer import LeaseObserver

logger = logging.getLogger("kelery.ledger")

_TICK_SECONDS = 0.5
#: The ledger acts on so many timers at most; then there may be more.
_FULL_BATCH = 200


def _ignore(_: object) -> None:
    pass


class LedgerTicker:
    """One per process. `on_reclaim` is told for each claim that stood still whether it was taken (or had
    moved meanwhile); `on_tick`, after each tick, what kept the ledger from answering, if anything did.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        stand_still: float,
        on_reclaim: Callable[[bool], None] = _ignore,
        on_tick: Callable[[LedgerError | None], None] = _ignore,
    ) -> None:
        self._ledger = ledger
        self._observer = LeaseObserver(stand_still=stand_still)
        self._on_reclaim = on_reclaim
        self._on_tick = on_tick

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            try:
                done = await self._tick()
            except LedgerError as error:
                self._observer.forget()
                self._on_tick(error)
                done = 0
            except Exception:
                logger.exception("a tick failed")
                self._observer.forget()
                done = 0
            if done < _FULL_BATCH:
                await asyncio.sleep(_TICK_SECONDS)

    async def _tick(self) -> int:
        before = time.monotonic()
        ticked = await self._ledger.run(commands.tick(leases=True))
        self._on_tick(None)
        for uid, lease in self._observer.observe(ticked.leases, before):
            taken = await self._ledger.run(commands.reclaim(uid, lease))
            self._on_reclaim(taken)
            if taken:
                logger.warning("a worker's claim stood still and was taken away", extra={"run": uid})
        return ticked.done
