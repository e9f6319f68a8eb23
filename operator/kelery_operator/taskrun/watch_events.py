"""Handles watch events: stores the new state of a TaskRun, or finds out why it left the watch.

The watch shows only unfinished TaskRuns, so a TaskRun leaves it by deletion or by its end. An end that this
operator wrote needs no check. In all other cases, an existence check comes before the TaskRun counts as gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from kelery.taskrun.resource import version_of
from kelery.taskrun.validation import as_mapping, as_text
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.existence_checks import ExistenceChecks
from kelery_operator.taskrun.run_state import RunStates
from kelery_operator.taskrun.snapshot import Snapshot
from kelery_operator.taskrun.status.writer import StatusWriter

#: Longer than the initial list of a watch takes to arrive.
_LIST_SECONDS = 0.25
#: The answer to the final write already queues the run. This delay is for the case that this failed.
_ANSWER_SECONDS = 1.0


class WatchEvents:
    """Passes events to the run states and the work queue. Shares the queue's clock; does no I/O."""

    def __init__(
        self,
        *,
        states: RunStates,
        queue: WorkQueue[str],
        checks: ExistenceChecks,
        writer: StatusWriter,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._states = states
        self._queue = queue
        self._checks = checks
        self._writer = writer
        self._metrics = metrics
        self._list_due = 0.0

    def event(self, kind: str | None, body: Mapping[str, Any]) -> None:
        """Handle one watch event; `kind` None is an object of the watch's initial list."""
        self._metrics.events.labels((kind or "LISTED").lower()).inc()
        if self._is_late(kind, body):
            return
        snapshot = self._states.read(body)
        if kind == "DELETED":
            self._left(snapshot)
        else:
            self._showed(snapshot, listed=kind is None)

    def _is_late(self, kind: str | None, body: Mapping[str, Any]) -> bool:
        """Whether the event is older than the written end of its run. Does not read the spec."""
        metadata = as_mapping(as_mapping(body).get("metadata"))
        uid = as_text(metadata.get("uid"))
        end = self._states.end_version(uid)
        if end is None:
            return False
        return self._states.get(uid) is None if kind == "DELETED" else version_of(metadata) <= end

    def _showed(self, snapshot: Snapshot, *, listed: bool) -> None:
        uid = snapshot.who.uid
        known = self._states.snapshot(uid)
        if not self._states.put(snapshot):
            return
        is_same_spec = known is not None and known.generation == snapshot.generation
        if is_same_spec and self._writer.is_on_its_way(uid, status=snapshot.status):
            # This is the operator's own write, before its answer. Nothing else has changed.
            return
        now = self._clock()
        if listed and now >= self._list_due:
            self._list_due = now + _LIST_SECONDS
        # A list is in order of names. Its runs, and those just after it, join the queue at one time.
        self._queue.add_at(uid, due=self._list_due)

    def _left(self, snapshot: Snapshot) -> None:
        uid = snapshot.who.uid
        if self._states.is_final_written(uid):
            # Its acknowledgement may be in flight, so keep its state here.
            known = self._states.snapshot(uid)
            if known is not None:
                is_same = not self._states.put(snapshot) or snapshot.generation == known.generation
                self._queue.add_after(uid, delay=_ANSWER_SECONDS if is_same else 0)
        elif not self._writer.final_on_its_way(uid):
            self._checks.add(snapshot.who)
