"""Wakes whoever waits for a run when the ledger's stream says that it changed: one follower of the stream for
the whole process.

A subscription only says "look again". Invariant: after a change has been written, each subscription that was
made before the change is woken, whatever happens to the connection, the server or the stream. So: subscribe,
then look, then wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from kelery import json_codec
from kelery.errors import LedgerError
from kelery.ledger import commands
from kelery.ledger.async_client import Ledger
from kelery.ledger.stream import StreamFollower
from kelery.ledger.types import WrittenEvent
from kelery.run.model import Record

T = TypeVar("T")

#: After a look that failed while the stream could be read.
LOOK_AGAIN_SECONDS = 1.0
_LOOKS_AT_ONCE = 16
#: Between two reads, if nobody waits for a run: changes of TaskRuns may be many, and each read costs.
UNWATCHED_SECONDS = 0.05
#: Between two reads, for each run that is waited for: then there are more changes to be read at once.
_GATHER_SECONDS = 0.0001
_LONGEST_GATHER_SECONDS = 0.005
#: Of so few, each is woken at once.
_WOKEN_AT_ONCE = 8


class Subscription:
    """One who waits for changes of one run; for one task at a time."""

    __slots__ = ("_changed", "is_over", "only_end")

    def __init__(self, *, only_end: bool) -> None:
        self._changed = asyncio.Event()
        self.only_end = only_end
        #: There is nothing more to wait for: the caller has gone, or the gateway stops.
        self.is_over = False

    async def changed(self, *, within: float) -> bool:
        """Whether there is reason to look again; waits up to `within` seconds for one."""
        if not self._changed.is_set():
            try:
                async with asyncio.timeout(within):
                    await self._changed.wait()
            except TimeoutError:
                return False
        if not self.is_over:
            # Before the caller looks: what changes during the look counts for the next time.
            self._changed.clear()
        return True

    def wake(self) -> None:
        """There may be something new."""
        self._changed.set()

    def end(self) -> None:
        """Whoever waits comes back at once, now and ever after."""
        self.is_over = True
        self._changed.set()


class Follower(StreamFollower):
    """One per process. `ledger` should be its own: its connection is busy with waiting."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._is_dismissed = False
        #: Somebody has come to wait since it was cleared.
        self._has_watcher = asyncio.Event()
        self._turns = asyncio.Semaphore(_LOOKS_AT_ONCE)

    @property
    def watched_runs(self) -> int:
        """How many runs somebody waits for."""
        return len(self._subscriptions)

    @contextmanager
    def watch(self, uid: str, *, only_end: bool = False) -> Iterator[Subscription]:
        """Be woken by every change of a run; with `only_end`, only by those that may have ended it."""
        subscription = Subscription(only_end=only_end)
        if self._is_dismissed:
            subscription.end()
        self._subscriptions.setdefault(uid, set()).add(subscription)
        self._has_watcher.set()
        try:
            yield subscription
        finally:
            others = self._subscriptions[uid]
            others.remove(subscription)
            if not others:
                del self._subscriptions[uid]

    async def in_turn(self, look: Callable[[], Awaitable[T]]) -> T | None:
        """Make a look that a change made due: not all at once when everybody is woken. None if the ledger
        cannot be asked now: everybody is woken again when it can, or look again after LOOK_AGAIN_SECONDS.
        """
        async with self._turns:
            if not self.is_following:
                return None
            try:
                return await look()
            except LedgerError:
                return None

    def dismiss(self) -> None:
        """The gateway stops: end every subscription, also those that are made from now on."""
        self._is_dismissed = True
        for subscription in self._all():
            subscription.end()

    def changed(self, events: Sequence[WrittenEvent]) -> None:
        """Wake those that wait for one of these."""
        for event in events:
            for subscription in self._subscriptions.get(event.uid, ()):
                if event.phase.is_final or not subscription.only_end:
                    subscription.wake()

    def missed(self) -> None:
        """Wake everybody."""
        for subscription in self._all():
            subscription.wake()

    async def gather(self, events: Sequence[WrittenEvent]) -> None:
        """Not if few wait; if nobody waits, until somebody does."""
        if not self._subscriptions:
            self._has_watcher.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(UNWATCHED_SECONDS):
                    await self._has_watcher.wait()
        elif self.watched_runs > _WOKEN_AT_ONCE:
            await asyncio.sleep(min(self.watched_runs * _GATHER_SECONDS, _LONGEST_GATHER_SECONDS))

    def _all(self) -> Iterator[Subscription]:
        for subscriptions in self._subscriptions.values():
            yield from subscriptions


async def final_record(
    ledger: Ledger,
    follower: Follower,
    uid: str,
    *,
    wait_seconds: float,
    first_look: Callable[[], Awaitable[Record | None]] | None = None,
) -> Record | None:
    """The run's record as soon as it is final, else the newest one after `wait_seconds`; None if there is
    none. An outage in between is waited out; LedgerError if the ledger does not answer at first or at last.

    `first_look` takes the place of the first look: a submission, whose end cannot be missed then.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + wait_seconds
    view = commands.view([uid], inline_bytes=json_codec.INLINE_BYTES)
    with follower.watch(uid, only_end=True) as subscription:
        if first_look is not None:
            record = await first_look()
        else:
            [record] = await ledger.run(view)
        due = False
        while _may_end(record) and not subscription.is_over and (left := until - clock()) > 0:
            due |= await subscription.changed(within=min(left, LOOK_AGAIN_SECONDS) if due else left)
            answer = await follower.in_turn(lambda: ledger.run(view)) if due else None
            if answer is not None:
                [record], due = answer, False
    if _may_end(record):
        [record] = await ledger.run(view)
    return record


def _may_end(record: Record | None) -> bool:
    return record is not None and not record.is_deleted and not record.phase.is_final
