"""Caches the API server's reviews, and sends identical reviews only once at a time.

Invariants: an expired entry is never served, even if the API server is unavailable. The age of an entry
counts from when the review was sent. A denial never evicts a permission, so a flood of invalid requests
cannot push out valid users.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

ALLOW_SECONDS = 30.0
DENY_SECONDS = 10.0
#: Per cache and kind of verdict (allowed, denied).
CAPACITY = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Generic[V]):
    """A value, or None for a denial. `seconds` shortens the time in the cache."""

    value: V | None
    seconds: float = inf


class VerdictCache(Generic[K, V]):
    """The cache of one event loop."""

    def __init__(self, *, clock: Callable[[], float], capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        # Per key: the value, and the time at which it expires.
        self._allowed: OrderedDict[K, tuple[V, float]] = OrderedDict()
        self._refused: OrderedDict[K, tuple[None, float]] = OrderedDict()
        self._flights: dict[K, asyncio.Task[V | None]] = {}

    def __len__(self) -> int:
        return len(self._allowed) + len(self._refused)

    async def get(self, key: K, ask: Callable[[], Awaitable[Verdict[V]]]) -> V | None:
        """The cached value, else that of `ask`. An error of `ask` reaches all waiting callers, uncached."""
        now = self._clock()
        allowed = self._allowed.get(key)
        if allowed is not None and now < allowed[1]:
            self._allowed.move_to_end(key)
            return allowed[0]
        refused = self._refused.get(key)
        if refused is not None and now < refused[1]:
            self._refused.move_to_end(key)
            return None
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._ask(key, ask))
            self._flights[key] = flight
            flight.add_done_callback(partial(self._landed, key))
        # A caller that is cancelled must not cancel the review for the others.
        return await asyncio.shield(flight)

    async def close(self) -> None:
        """Cancel pending reviews."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def _ask(self, key: K, ask: Callable[[], Awaitable[Verdict[V]]]) -> V | None:
        asked_at = self._clock()
        verdict = await ask()
        self._allowed.pop(key, None)
        self._refused.pop(key, None)
        if verdict.value is None:
            until = asked_at + min(DENY_SECONDS, verdict.seconds)
            self._refused[key] = (None, until)
        else:
            until = asked_at + min(ALLOW_SECONDS, verdict.seconds)
            self._allowed[key] = (verdict.value, until)
        for entries in (self._allowed, self._refused):
            while len(entries) > self._capacity:
                entries.popitem(last=False)
        return verdict.value

    def _landed(self, key: K, flight: asyncio.Task[V | None]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            # All callers may be gone; asyncio would log an exception that is never retrieved.
            flight.exception()
