"""Notices that a loop stalls: the loop reports when it starts work, and when it waits for more."""

from __future__ import annotations

import time
from collections.abc import Callable


class Watchdog:
    """The state of one loop. It may be idle for any time, but not busy for long without a report."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._busy_since: float | None = None

    def busy(self) -> None:
        """Report that work starts or progresses."""
        self._busy_since = self._clock()

    def idle(self) -> None:
        """Report that the loop waits for work."""
        self._busy_since = None

    def stalled_for(self) -> float:
        """Seconds since the last report, if the loop is busy; otherwise 0."""
        return 0.0 if self._busy_since is None else self._clock() - self._busy_since
