"""Who waits in front: the first few waiters of a key are looked at again when the key has moved.

A hand-over changes the place of all that wait behind it and the ledger tells of none of them. Only the
first ten are shown their place, and a key is looked at every two seconds at most, so a long queue costs no
more than a short one.
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
    """The keys that moved."""

    def __init__(self, ledger: Ledger, *, states: RunStates, queue: WorkQueue[str]) -> None:
        self._ledger = ledger
        self._states = states
        self._queue = queue
        self._moved: set[str] = set()
        self._any_moved = asyncio.Event()

    def moved(self, key: str) -> None:
        """Something happened to a run of `key`."""
        if key:
            self._moved.add(key)
            self._any_moved.set()

    async def run(self) -> None:
        """Look after the keys that moved."""
        while True:
            await self._any_moved.wait()
            # Whatever happens within the spacing is one move.
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
        """Those that came in front just now."""
        try:
            replies = await self._ledger.run_all(
                [commands.first_waiters(key, count=POSITIONS_SHOWN) for key in keys]
            )
        except LedgerError:
            # Positions are for people to read; the next move shows them.
            return
        for reply in replies:
            if not isinstance(reply, LedgerError):
                for uid in reply:
                    self._queue.add(uid)
