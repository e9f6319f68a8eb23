"""The work queue: which keys need work. The semantics are those of Kubernetes' own controllers.

- A key that is added several times before it is taken is taken once.
- A key that is added while it is in work is taken again afterwards, never concurrently.
- A key that failed returns after a pause that doubles, with jitter.
- Keys are in lanes that take turns, so a long lane does not delay the others. A lane is ordered.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class _Lane(Generic[K]):
    """Ordered keys, in rounds. A key that is added during a round waits for the next one, so a key
    that is added again and again does not block those behind it.
    """

    __slots__ = ("_coming", "_round")

    def __init__(self) -> None:
        self._round: list[tuple[Any, K]] = []
        self._coming: list[tuple[Any, K]] = []

    def __bool__(self) -> bool:
        return bool(self._round or self._coming)

    def push(self, key: K, *, order: Any) -> None:
        heapq.heappush(self._coming, (order, key))

    def pop(self) -> K:
        if not self._round:
            self._round, self._coming = self._coming, []
        return heapq.heappop(self._round)[1]


class WorkQueue(Generic[K]):
    """Keys to work on, for one event loop.

    `place` returns a key's lane and its sort order there, when the key joins the queue. Without `place`,
    there is one lane in the order of addition.
    """

    def __init__(
        self,
        *,
        place: Callable[[K], tuple[str, Any]] | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        first_pause: float = 0.05,
        longest_pause: float = 30.0,
    ) -> None:
        self._additions = itertools.count()
        self._place = place or (lambda key: ("", next(self._additions)))
        self._clock = clock
        self._jitter = jitter
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        #: key -> since when; in order of addition. A key may be dirty and in work at the same time.
        self._dirty: dict[K, float] = {}
        #: The dirty keys that are not in work. The next lane is first.
        self._lanes: OrderedDict[str, _Lane[K]] = OrderedDict()
        #: key -> since when it needed work
        self._in_work: dict[K, float] = {}
        self._delayed: list[tuple[float, int, K]] = []
        #: key -> (due, since when) of its valid entry in `_delayed`. Other entries are void.
        self._later: dict[K, tuple[float, float]] = {}
        self._failures: dict[K, int] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._dirty)

    def add(self, key: K) -> None:
        """Work on `key` soon."""
        if key in self._dirty:
            return
        self._dirty[key] = self._clock()
        if key not in self._in_work:
            self._line_up(key)

    def add_after(self, key: K, *, delay: float) -> None:
        """Work on `key` after `delay` seconds, or earlier if it is added for an earlier time."""
        self.add_at(key, due=self._clock() + delay)

    def add_at(self, key: K, *, due: float) -> None:
        """Work on `key` at `due` on the queue's clock, or earlier if it is added for an earlier time.

        Keys that are due at the same time join the queue together.
        """
        since = self._clock()
        if due <= since:
            return self.add(key)
        if key in self._dirty:
            return
        if key in self._later:
            planned, since = self._later[key]
            if planned <= due:
                return
        self._later[key] = due, since
        heapq.heappush(self._delayed, (due, next(self._additions), key))
        if self._delayed[0][2] == key:
            # A waiting `take` must wake up earlier.
            self._changed.set()

    def retry(self, key: K) -> float:
        """Work on `key` failed: repeat it after a pause. Returns the pause in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        longest = min(self._first_pause * float(2 ** min(failures, 30)), self._longest_pause)
        pause = longest * (0.5 + self._jitter() / 2)
        self.add_after(key, delay=pause)
        return pause

    def forget(self, key: K) -> None:
        """Work on `key` succeeded: its next failure starts with the first pause."""
        self._failures.pop(key, None)

    async def take(self, *, most: int | None = None) -> list[K]:
        """Wait for work; returns up to `most` keys, which are in work until `done`."""
        while True:
            ready = self._take_ready(most)
            if ready:
                return ready
            self._changed.clear()
            if not self._delayed:
                await self._changed.wait()
                continue
            try:
                async with asyncio.timeout(max(0.0, self._delayed[0][0] - self._clock())):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, key: K) -> None:
        """`key` is no longer in work. If it was added in the meantime, it can be taken again."""
        if self._in_work.pop(key, None) is not None and key in self._dirty:
            self._line_up(key)

    def in_work_since(self, key: K) -> float:
        """Since when a key that is in work has needed work."""
        return self._in_work.get(key, self._clock())

    def oldest_age(self) -> float:
        """How long the oldest key has waited, in seconds."""
        first = next(iter(self._dirty.values()), None)
        return 0.0 if first is None else self._clock() - first

    def _line_up(self, key: K) -> None:
        lane, order = self._place(key)
        self._lanes.setdefault(lane, _Lane()).push(key, order=order)
        self._changed.set()

    def _take_ready(self, most: int | None) -> list[K]:
        self._add_due()
        ready: list[K] = []
        while self._lanes and (most is None or len(ready) < most):
            name, lane = next(iter(self._lanes.items()))
            key = lane.pop()
            if lane:
                self._lanes.move_to_end(name)
            else:
                del self._lanes[name]
            since = self._dirty.pop(key)
            # The work that starts now also covers what was planned for later.
            _, planned_since = self._later.pop(key, (0.0, since))
            self._in_work[key] = min(since, planned_since)
            ready.append(key)
        return ready

    def _add_due(self) -> None:
        now = self._clock()
        while self._delayed:
            due, _, key = self._delayed[0]
            is_void = key not in self._later or self._later[key][0] != due
            if not is_void and due > now:
                return
            heapq.heappop(self._delayed)
            if not is_void:
                self.add(key)
