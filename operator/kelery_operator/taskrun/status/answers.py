"""What an answer to a status write means: the newest state of its object, or that it changed or is gone."""

from __future__ import annotations

import time

from kelery.taskrun.resource import Identity
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.existence_checks import ExistenceChecks
from kelery_operator.taskrun.run_state import RunStates
from kelery_operator.taskrun.snapshot import Snapshot
from kelery_operator.taskrun.status_write import Write

#: Nobody waits for an acknowledgement, so those of a while go in one round.
_ACKNOWLEDGE_EVERY_SECONDS = 0.25
#: After a write that is not the last: stream and watch may have kept something from us.
_CHECK_SECONDS = 1.0


class WriteAnswers:
    """The writer's listener."""

    def __init__(self, *, states: RunStates, queue: WorkQueue[str], checks: ExistenceChecks) -> None:
        self._states = states
        self._queue = queue
        self._checks = checks

    def status_written(self, write: Write, snapshot: Snapshot) -> None:
        """The API server took a status; its answer is the newest state of the object."""
        uid = write.who.uid
        if self._states.get(uid) is None:
            # It was dealt with, or even deleted, while this answer was under way.
            self._checks.add(write.who)
            return
        known = self._states.snapshot(uid)
        if self._states.put(snapshot) and (known is None or known.generation != snapshot.generation):
            # With a change of the spec, of which the watch's word will say nothing new.
            self._queue.add(uid)
        elif write.is_final:
            self._queue.add_after(uid, delay=_until_next(_ACKNOWLEDGE_EVERY_SECONDS))
        else:
            self._queue.add_after(uid, delay=_CHECK_SECONDS)

    def object_changed(self, who: Identity) -> None:
        """A write did not find its object, or found it changed."""
        self._checks.add(who)


def _until_next(seconds: float) -> float:
    """The same moment for all that happens within so many seconds."""
    return seconds - time.monotonic() % seconds
