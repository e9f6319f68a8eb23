"""Updates queue positions: queues the first waiters of a key when the key has moved.

A hand-over changes the position of all waiters, but the ledger sends no events for them. Only the first ten
show their position, and a key is read every two seconds at most. So a long queue costs no more than a short
one.
"""

from __future__ import annotations

import asyncio

from kelery.errors import LedgerError
from kelery.ledger import commands
from kelery.ledger.async_client import Ledger
from kelery.taskrun.status import POSITIONS_SHOWN
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.run_state import RunStates

_SPACING_SECONDS = 2.0
_BATCH = 200


class QueuePositions:
    """Collects the keys that moved, and queues their first waiters."""

    def __init__(self, ledger: Ledger, *, states: RunStates, queue: WorkQueue[str]) -> None:
        self._ledger = ledger
        self._states = states
        self._queue = queue
        self._moved: set[str] = set()
        self._any_moved = asyncio.Event()

    def moved(self, key: str) -> None:
        """A run of `key` has changed."""
        if key:
            self._moved.add(key)
            self._any_moved.set()

    async def run(self) -> None:
        """Queue the waiters of moved keys, forever."""
        while True:
            await self._any_moved.wait()
            # All changes within the spacing count as one move.
            await asyncio.sleep(_SPACING_SECONDS)
            self._any_moved.clear()
            keys, self._moved = self._moved, set()
            for uid, state in self._states.items():
                if state.position_key in keys:
                    self._queue.add(uid)
            in_order = sorted(keys)
            for start in range(0, len(in_order), _BATCH):
                await self._add_first_waiters(in_order[start : start + _BATCH])

    async def _add_first_waiters(self, keys: list[str]) -> None:
        """Queue the runs that are among the first waiters now."""
        try:
            replies = await self._ledger.run_all(
                [commands.first_waiters(key, count=POSITIONS_SHOWN) for key in keys]
            )
        except LedgerError:
            # Positions are for people, and the next move updates them.
            return
        for reply in replies:
            if not isinstance(reply, LedgerError):
                for uid in reply:
                    self._queue.add(uid)
