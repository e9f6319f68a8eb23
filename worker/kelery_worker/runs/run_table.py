"""The runs that this worker has claimed, from the claim until they are settled; shared by three threads.

Celery's main thread adds them and says what became of them, the watcher stops them and finds them ended, the
keeper renews and settles them. Whoever changes a run holds the lock. Two claims of one run are two entries: a
claim that was taken away may still have a body to end.
"""

from __future__ import annotations

import threading
from typing import Any

from kelery_worker.runs.live_run import LiveRun, Stop


class RunTable:
    """By uid and fence."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._runs: dict[tuple[str, int], LiveRun] = {}

    def add(self, run: LiveRun) -> bool:
        """A claim was granted; True if an older one of the same run is still here: that was taken away."""
        with self.lock:
            taken_away = [older for older in self._runs.values() if older.claim.uid == run.claim.uid]
            for older in taken_away:
                older.fence_off(now=run.claimed_at)
            self._runs[run.key] = run
            return bool(taken_away)

    def update(self, run: LiveRun, **changes: Any) -> bool:
        """Change a run that is still here; False if it is not."""
        with self.lock:
            if run.key not in self._runs:
                return False
            for field, value in changes.items():
                setattr(run, field, value)
            return True

    def remove(self, run: LiveRun) -> None:
        """It is settled, or not ours to settle."""
        with self.lock:
            self._runs.pop(run.key, None)

    def all(self) -> list[LiveRun]:
        """As they are now."""
        with self.lock:
            return list(self._runs.values())

    def ask_all_to_stop(self, why: Stop, *, now: float, grace: float) -> None:
        """With at most `grace`, and at most the run's own."""
        with self.lock:
            for run in self._runs.values():
                run.ask_to_stop(why, now=now, grace=min(grace, run.claim.grace_seconds))
