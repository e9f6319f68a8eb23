"""What a watch event means: a state to take in, or a run that left the watch.

The server shows unfinished runs only, so a run leaves the watch by its deletion and by its end. An end that
we wrote ourselves needs no check; in any other case the object is checked before it is called gone.
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

#: Longer than a watch's own list of new runs takes to come in.
_LIST_SECONDS = 0.25
#: The answer to our own last write plans what comes after it; this is for one that failed there.
_ANSWER_SECONDS = 1.0


class WatchEvents:
    """From events to the run states and the work queue, whose clock it shares; does no I/O."""

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
        """One watch event; `kind` None is the watch's own list."""
        self._metrics.events.labels((kind or "LISTED").lower()).inc()
        if self._is_late(kind, body):
            return
        snapshot = self._states.read(body)
        if kind == "DELETED":
            self._left(snapshot)
        else:
            self._showed(snapshot, listed=kind is None)

    def _is_late(self, kind: str | None, body: Mapping[str, Any]) -> bool:
        """Whether it says nothing new about a run whose end is written; its spec is not read for that."""
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
            # Our own write comes back before its answer: what it was decided upon has not changed.
            return
        now = self._clock()
        if listed and now >= self._list_due:
            self._list_due = now + _LIST_SECONDS
        # A list comes by name: its runs, and what follows on its heels, are dealt with at one moment.
        self._queue.add_at(uid, due=self._list_due)

    def _left(self, snapshot: Snapshot) -> None:
        uid = snapshot.who.uid
        if self._states.is_final_written(uid):
            # Its acknowledgement may still be under way, so it is not forgotten here.
            known = self._states.snapshot(uid)
            if known is not None:
                is_same = not self._states.put(snapshot) or snapshot.generation == known.generation
                self._queue.add_after(uid, delay=_ANSWER_SECONDS if is_same else 0)
        elif not self._writer.final_on_its_way(uid):
            self._checks.add(snapshot.who)
