"""The delay before a dead service restarts: 1, 2, 4 ... 30 seconds, like Kubernetes."""

from dataclasses import dataclass

_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 30.0
# After this uptime, the next death starts a new series.
_STABLE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """One service's series of restarts; `delay` is the current delay in seconds."""

    delay: float = 0.0

    def after_death(self, *, lived: float) -> "Backoff":
        """The next state after a service died; `lived` is its uptime in seconds."""
        if lived >= _STABLE_SECONDS or not self.delay:
            return Backoff(delay=_FIRST_SECONDS)
        return Backoff(delay=min(self.delay * 2, _LONGEST_SECONDS))
