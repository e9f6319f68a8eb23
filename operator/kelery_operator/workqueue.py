"""The work queue: which keys need a look. The semantics are those of Kubernetes' own controllers.

A key that is added many times before it is taken is taken once; one that is added while it is being worked
on is taken again afterwards, never at the same time; one that failed comes back after a pause that doubles,
with jitter.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import time
from collections.abc import Callable


class WorkQueue:
    """Keys to work on; for one event loop."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        first_pause: float = 0.05,
        longest_pause: float = 30.0,
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        #: key -> since when; in order of addition. A key may be dirty and in work at once.
        self._dirty: dict[str, float] = {}
        self._in_work: set[str] = set()
        self._delayed: list[tuple[float, str]] = []
        self._failures: dict[str, int] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._dirty)

    def add(self, key: str) -> None:
        """Have a look at `key` soon."""
        if key not in self._dirty:
            self._dirty[key] = self._clock()
            self._changed.set()

    def add_after(self, key: str, *, delay: float) -> None:
        """Have a look at `key` after `delay` seconds."""
        if delay <= 0:
            return self.add(key)
        heapq.heappush(self._delayed, (self._clock() + delay, key))
        self._changed.set()

    def retry(self, key: str) -> float:
        """Work on `key` failed: again after a pause, which is returned."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        longest = min(self._first_pause * float(2 ** min(failures, 30)), self._longest_pause)
        pause = longest * (0.5 + self._jitter() / 2)
        self.add_after(key, delay=pause)
        return pause

    def forget(self, key: str) -> None:
        """Work on `key` went well: its next failure starts from the first pause."""
        self._failures.pop(key, None)

    async def take(self, *, most: int | None = None) -> list[str]:
        """Wait until there is something to do; up to `most` keys, now in work until `done`."""
        while True:
            ready = self._take_ready(most)
            if ready:
                return ready
            self._changed.clear()
            pause = None
            if self._delayed:
                pause = max(0.0, self._delayed[0][0] - self._clock())
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, key: str) -> None:
        """`key` is no longer in work; if it was added meanwhile it may be taken again."""
        self._in_work.discard(key)
        if key in self._dirty:
            self._changed.set()

    def is_wanted(self, key: str) -> bool:
        """Whether `key` was added since it was taken."""
        return key in self._dirty

    def oldest_age(self) -> float:
        """For how long the oldest key has waited."""
        first = next(iter(self._dirty.values()), None)
        return 0.0 if first is None else self._clock() - first

    def _take_ready(self, most: int | None) -> list[str]:
        now = self._clock()
        while self._delayed and self._delayed[0][0] <= now:
            self.add(heapq.heappop(self._delayed)[1])
        ready = [key for key in self._dirty if key not in self._in_work][:most]
        for key in ready:
            del self._dirty[key]
            self._in_work.add(key)
        return ready
