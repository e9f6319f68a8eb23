"""How long to wait before a dead service is started again: 1, 2, 4 ... 30 seconds, as Kubernetes does."""

from dataclasses import dataclass

_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 30.0
# A service that stayed up this long had started well: its next death begins a new series.
_STABLE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """The state of one service's series of restarts; `delay` is what to wait now."""

    delay: float = 0.0

    def after_death(self, *, lived: float) -> "Backoff":
        """The next state after a service died that had lived for so many seconds."""
        if lived >= _STABLE_SECONDS or not self.delay:
            return Backoff(delay=_FIRST_SECONDS)
        return Backoff(delay=min(self.delay * 2, _LONGEST_SECONDS))
