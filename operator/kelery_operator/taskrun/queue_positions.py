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
from kelery.run.model import Record
from kelery.run.phases import Phase
from kelery.taskrun.status import POSITIONS_SHOWN
from kelery_operator.runtime.workqueue import WorkQueue

_SPACING_SECONDS = 2.0


class QueuePositions:
    """Keys that moved, and whose place was shown."""

    def __init__(self, ledger: Ledger, *, queue: WorkQueue) -> None:
        self._ledger = ledger
        self._queue = queue
        self._moved: set[str] = set()
        #: key -> the runs whose place is shown
        self._shown: dict[str, set[str]] = {}
        self._key_of: dict[str, str] = {}
        self._stirred = asyncio.Event()

    def moved(self, key: str) -> None:
        """Something happened to a run of `key`."""
        if key:
            self._moved.add(key)
            self._stirred.set()

    def note(self, uid: str, *, record: Record | None) -> None:
        """Remember whose place is shown; None: nobody's any more."""
        old = self._key_of.pop(uid, None)
        if old is not None:
            self._shown[old].discard(uid)
            if not self._shown[old]:
                del self._shown[old]
        if record and record.phase is Phase.WAITING and 0 < record.position <= POSITIONS_SHOWN:
            self._key_of[uid] = record.key
            self._shown.setdefault(record.key, set()).add(uid)

    async def run(self) -> None:
        """Look after the keys that moved."""
        while True:
            await self._stirred.wait()
            # Whatever happens within the spacing is one move.
            await asyncio.sleep(_SPACING_SECONDS)
            self._stirred.clear()
            keys, self._moved = sorted(self._moved), set()
            for uid in {uid for key in keys for uid in self._shown.get(key, ())}:
                self._queue.add(uid)
            for start in range(0, len(keys), 200):
                await self._look(keys[start : start + 200])

    async def _look(self, keys: list[str]) -> None:
        """Those that came in front just now."""
        try:
            replies = await self._ledger.run_all(
                [commands.first_waiters(key, count=POSITIONS_SHOWN) for key in keys]
            )
        except LedgerError:
            # QueuePositions are for people to read; the next move shows them.
            return
        for reply in replies:
            if not isinstance(reply, LedgerError):
                for uid in reply:
                    self._queue.add(uid)
