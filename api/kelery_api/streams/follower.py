"""Follows the ledger's event stream, once per process, and wakes the subscriptions of a changed run.

A wake-up only means "read the run again". Invariant: a subscription made before a change is woken after it,
no matter what happens to the connection, the server or the stream. So subscribe first, then read, then wait.
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

#: Pause after a read that failed while the stream was available.
LOOK_AGAIN_SECONDS = 1.0
_LOOKS_AT_ONCE = 16
#: Pause between two reads of the stream without subscriptions, since there can be many changes.
UNWATCHED_SECONDS = 0.05
#: Pause between two reads of the stream, per watched run, so that one read returns more changes.
_GATHER_SECONDS = 0.0001
_LONGEST_GATHER_SECONDS = 0.005
#: Up to this number of watched runs, there is no pause.
_WOKEN_AT_ONCE = 8


class Subscription:
    """Waits for changes of one run. One asyncio task at a time can use it."""

    __slots__ = ("_changed", "is_over", "only_end")

    def __init__(self, *, only_end: bool) -> None:
        self._changed = asyncio.Event()
        self.only_end = only_end
        #: Nothing more to wait for: the client has disconnected, or the gateway stops.
        self.is_over = False

    async def changed(self, *, within: float) -> bool:
        """Wait up to `within` seconds for a wake-up. Whether there was one."""
        if not self._changed.is_set():
            try:
                async with asyncio.timeout(within):
                    await self._changed.wait()
            except TimeoutError:
                return False
        if not self.is_over:
            # Cleared before the caller reads, so that a change during the read wakes it again.
            self._changed.clear()
        return True

    def wake(self) -> None:
        """The run may have changed."""
        self._changed.set()

    def end(self) -> None:
        """End all waits, now and later."""
        self.is_over = True
        self._changed.set()


class Follower(StreamFollower):
    """One per process. `ledger` needs a connection of its own, because the follower blocks it."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._is_dismissed = False
        #: Set when a subscription is made.
        self._has_watcher = asyncio.Event()
        self._turns = asyncio.Semaphore(_LOOKS_AT_ONCE)

    @property
    def watched_runs(self) -> int:
        """Number of runs with subscriptions."""
        return len(self._subscriptions)

    @contextmanager
    def watch(self, uid: str, *, only_end: bool = False) -> Iterator[Subscription]:
        """Subscribe to the changes of a run; with `only_end`, only to those that can have ended it."""
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
        """Read the run, with a bounded number of concurrent reads. None if the ledger is unavailable: then
        either all subscriptions are woken later, or the caller reads again after LOOK_AGAIN_SECONDS.
        """
        async with self._turns:
            if not self.is_following:
                return None
            try:
                return await look()
            except LedgerError:
                return None

    def dismiss(self) -> None:
        """End all subscriptions, including later ones, because the gateway stops."""
        self._is_dismissed = True
        for subscription in self._all():
            subscription.end()

    def changed(self, events: Sequence[WrittenEvent]) -> None:
        """Wake the subscriptions of these runs."""
        for event in events:
            for subscription in self._subscriptions.get(event.uid, ()):
                if event.phase.is_final or not subscription.only_end:
                    subscription.wake()

    def missed(self) -> None:
        """Wake all subscriptions."""
        for subscription in self._all():
            subscription.wake()

    async def gather(self, events: Sequence[WrittenEvent]) -> None:
        """Pause before the next read. No pause with few watched runs; without any, until there is one."""
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
    """The run's record when it is final, else the newest one after `wait_seconds`; None if there is none.

    Tolerates an outage in between. Raises LedgerError if the ledger does not respond to the first or last
    read. `first_look` replaces the first read, for example by a submission, so that its end cannot be missed.
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
