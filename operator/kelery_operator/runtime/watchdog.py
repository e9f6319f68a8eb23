"""Whether a loop still gets on: it says when it starts a piece of work and when it waits for more."""

from __future__ import annotations

import time
from collections.abc import Callable


class Watchdog:
    """Idle for ever is fine; busy for long without a sign is not."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._busy_since: float | None = None

    def busy(self) -> None:
        """A piece of work begins, or gets on."""
        self._busy_since = self._clock()

    def idle(self) -> None:
        """Waiting for work."""
        self._busy_since = None

    def stalled_for(self) -> float:
        """For how long there has been no sign of a piece of work that began."""
        return 0.0 if self._busy_since is None else self._clock() - self._busy_since
