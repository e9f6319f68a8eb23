"""Finds expired leases, on the observer's own clock.

Every process that ticks (worker, operator, gateway) may observe. Invariant: a lease counts as expired only
after this observer has seen the same value for the whole time, without a failed reading in between. So
neither a wall clock nor a pause of Redis or of the observer makes a live claim look dead. The ledger's
compare-and-set makes the final decision.
"""

from __future__ import annotations

from collections.abc import Mapping


class LeaseObserver:
    """Remembers since when each lease has its value. Pure: the caller passes readings and clock."""

    def __init__(self, *, stand_still: float) -> None:
        self._stand_still = stand_still
        self._since: dict[str, tuple[str, float]] = {}

    def observe(self, leases: Mapping[str, str], now_monotonic: float) -> list[tuple[str, str]]:
        """The claims (uid, lease) to reclaim. `now_monotonic` is the time before the reading began."""
        seen: dict[str, tuple[str, float]] = {}
        for uid, lease in leases.items():
            known = self._since.get(uid)
            seen[uid] = known if known is not None and known[0] == lease else (lease, now_monotonic)
        self._since = seen
        return [
            (uid, lease) for uid, (lease, since) in seen.items() if now_monotonic - since >= self._stand_still
        ]

    def forget(self) -> None:
        """Start all clocks again. Call it after a failed reading."""
        self._since.clear()
