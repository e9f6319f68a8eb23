"""Handles answers to status writes: the newest state of the object, or that it changed or is gone."""

from __future__ import annotations

import time

from kelery.taskrun.resource import Identity
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.existence_checks import ExistenceChecks
from kelery_operator.taskrun.run_state import RunStates
from kelery_operator.taskrun.snapshot import Snapshot
from kelery_operator.taskrun.status_write import Write

#: Acknowledgements are not urgent, so those of one interval share a round.
_ACKNOWLEDGE_EVERY_SECONDS = 0.25
#: The pause before a check after a write that is not final, in case stream and watch missed something.
_CHECK_SECONDS = 1.0


class WriteAnswers:
    """The writer's listener."""

    def __init__(self, *, states: RunStates, queue: WorkQueue[str], checks: ExistenceChecks) -> None:
        self._states = states
        self._queue = queue
        self._checks = checks

    def status_written(self, write: Write, snapshot: Snapshot) -> None:
        """The API server accepted a status. Its answer is the newest state of the object."""
        uid = write.who.uid
        if self._states.get(uid) is None:
            # The run was finished, or even deleted, before this answer arrived.
            self._checks.add(write.who)
            return
        known = self._states.snapshot(uid)
        if self._states.put(snapshot) and (known is None or known.generation != snapshot.generation):
            # The answer contains a change of the spec, so the watch event will not be new.
            self._queue.add(uid)
        elif write.is_final:
            self._queue.add_after(uid, delay=_until_next(_ACKNOWLEDGE_EVERY_SECONDS))
        else:
            self._queue.add_after(uid, delay=_CHECK_SECONDS)

    def object_changed(self, who: Identity) -> None:
        """A write did not find its object, or the object has changed."""
        self._checks.add(who)


def _until_next(seconds: float) -> float:
    """The time until the end of the current interval, which is the same for all."""
    return seconds - time.monotonic() % seconds
