"""Watching leases stand still, on the observer's own clock: who finds the claims of dead workers.

Every process that ticks (worker, operator, gateway) may observe; nobody has to. Invariant: a lease is named
only after this observer itself has seen the very same value for the whole time, reading without a failure in
between. So neither a wall clock nor a pause of Redis or of the observer can make a live claim look dead; the
ledger's compare-and-set has the last word.
"""

from __future__ import annotations

from collections.abc import Mapping


class LeaseObserver:
    """Remembers since when each lease has had its value. Pure: the caller brings readings and clock."""

    def __init__(self, *, stand_still: float) -> None:
        self._stand_still = stand_still
        self._since: dict[str, tuple[str, float]] = {}

    def observe(self, leases: Mapping[str, str], now_monotonic: float) -> list[tuple[str, str]]:
        """The claims (uid, lease) to reclaim; `now_monotonic` is from before the reading was asked for."""
        seen: dict[str, tuple[str, float]] = {}
        for uid, lease in leases.items():
            known = self._since.get(uid)
            seen[uid] = known if known is not None and known[0] == lease else (lease, now_monotonic)
        self._since = seen
        return [
            (uid, lease) for uid, (lease, since) in seen.items() if now_monotonic - since >= self._stand_still
        ]

    def forget(self) -> None:
        """After a failed reading: what was seen before it proves nothing, so every clock starts again."""
        self._since.clear()
