"""Lets due timers of the ledger act, and reclaims runs of dead workers.

Every operator and gateway has a ticker, and the keeper of each worker does the same. Ticks are idempotent, so
no process must be elected. Callbacks report the results.
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
#: The ledger handles at most this number of timers per tick; after a full batch more may be due.
_FULL_BATCH = 200


def _ignore(_: object) -> None:
    pass


class LedgerTicker:
    """One per process. `on_reclaim` gets, for each expired lease, whether the run was reclaimed (False: the
    lease had moved). `on_tick` gets, after each tick, the error of the ledger or None.
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
        """Tick forever."""
        while True:
            try:
                done = await self._tick()
            except LedgerError as error:
                self._observer.forget()
                self._on_tick(error)
                done = 0
            except Exception:
                logger.exception("tick of the ledger failed")
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
                logger.warning("reclaimed a run: its lease expired", extra={"run": uid})
        return ticked.done
