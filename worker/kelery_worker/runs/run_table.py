"""The claimed runs of this worker, from the claim until the settlement; shared by three threads.

Celery's main thread adds runs and reports their progress. The watcher stops them and detects their end. The
keeper renews and settles them. Every change needs the lock. Two claims of one run are two entries, because a
revoked claim may still have a task to stop.
"""

from __future__ import annotations

import threading
from typing import Any

from kelery_worker.runs.live_run import LiveRun, Stop


class RunTable:
    """The runs by uid and fence."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._runs: dict[tuple[str, int], LiveRun] = {}

    def add(self, run: LiveRun) -> bool:
        """Add a granted claim; True if an older, revoked claim of the same run is still here."""
        with self.lock:
            taken_away = [older for older in self._runs.values() if older.claim.uid == run.claim.uid]
            for older in taken_away:
                older.fence_off(now=run.claimed_at)
            self._runs[run.key] = run
            return bool(taken_away)

    def update(self, run: LiveRun, **changes: Any) -> bool:
        """Change a run; False if it is no longer in the table."""
        with self.lock:
            if run.key not in self._runs:
                return False
            for field, value in changes.items():
                setattr(run, field, value)
            return True

    def remove(self, run: LiveRun) -> None:
        """Remove a run that is settled, or whose claim was revoked."""
        with self.lock:
            self._runs.pop(run.key, None)

    def all(self) -> list[LiveRun]:
        """A copy of the current runs."""
        with self.lock:
            return list(self._runs.values())

    def ask_all_to_stop(self, why: Stop, *, now: float, grace: float) -> None:
        """Request a stop of all runs within `grace` seconds, or within the run's own grace if that is
        shorter.
        """
        with self.lock:
            for run in self._runs.values():
                run.ask_to_stop(why, now=now, grace=min(grace, run.claim.grace_seconds))
