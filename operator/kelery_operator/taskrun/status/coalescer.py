"""Decides which status write is sent when. Pure: the caller passes the clock and sends the writes.

Invariants: a run has at most one write in flight; the latest status wins, unless it is outdated; a lower
`rev` is never sent after a higher one; a final status waits only for a write of the same run that is in
flight, and is the last one unless somebody reverts it.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kelery_operator.taskrun.actions import Urgency
from kelery_operator.taskrun.run_state import RunStates
from kelery_operator.taskrun.status_write import Write, WriteSlot

#: How long a status waits for a newer one that replaces it, in seconds.
DELAYS = {Urgency.FINAL: 0.0, Urgency.PHASE: 0.05, Urgency.PASSING: 0.25, Urgency.MINOR: 0.05}
_PHASE_SPACING = 0.2
_MINOR_SPACING = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 15.0
_REFUSED_PAUSE = 5.0


class Coalescer:
    """The pending writes of all runs. They are part of the run states, and vanish with them."""

    def __init__(self, states: RunStates) -> None:
        self._states = states
        #: Final writes come first: under a backlog, users wait for ends.
        self._finals_due: list[tuple[float, str]] = []
        self._others_due: list[tuple[float, str]] = []

    def offer(self, write: Write, *, now: float, since: float | None = None) -> None:
        """Add the newest status of a run. `since` is the time of the change, if it is before `now`."""
        uid = write.who.uid
        if self._states.is_final_written(uid):
            return
        slot = self._opened(uid)
        newest = max(
            (other for other in (slot.pending, slot.in_flight) if other),
            key=lambda other: other.rev,
            default=None,
        )
        if write.rev < max(other.rev if other else -1 for other in (slot.written, newest)):
            return
        if self._is_shown(slot, write=write) and newest is None:
            return
        if slot.in_flight and slot.in_flight.status == write.status:
            slot.pending = None
            return
        start = now if since is None else min(since, now)
        due = max(start + DELAYS[write.urgency], slot.not_before, self._earliest(slot, write=write))
        # A newer phase does not delay a pending write.
        slot.due = min(due, slot.due) if slot.pending and not write.is_final else due
        slot.pending = write
        self._schedule(uid, slot)

    def take_due(self, *, now: float, most: int) -> list[Write]:
        """Up to `most` writes to send now. Each is in flight until its answer is reported."""
        taken: list[Write] = []
        for heap in (self._finals_due, self._others_due):
            while heap and heap[0][0] <= now and len(taken) < most:
                slot = self._slot(heapq.heappop(heap)[1])
                if slot is None or slot.pending is None or slot.in_flight is not None or slot.due > now:
                    continue
                slot.in_flight, slot.pending = self._after_our_own(slot.pending, slot=slot), None
                taken.append(slot.in_flight)
        return taken

    def written(self, write: Write, *, now: float, version: int = 0) -> None:
        """The API server accepted the write. `version` is that of the object after it."""
        uid, slot = write.who.uid, self._slot(write.who.uid)
        if write.is_final:
            self._states.note_end(uid, version=version)
            self._states.forget_writes(uid)
        elif slot is not None:
            slot.in_flight, slot.failures, slot.not_before = None, 0, 0.0
            slot.written, slot.written_version, slot.written_at = write, version, now
            if slot.pending:
                slot.due = max(slot.due, self._earliest(slot, write=slot.pending))
                self._schedule(uid, slot)

    def failed(self, write: Write, *, now: float, jitter: float, pause: float | None = None) -> float:
        """The write failed: repeat it, or a newer one, after a pause. Returns the pause in seconds."""
        uid = write.who.uid
        slot = self._opened(uid)
        slot.in_flight = None
        grown = _grown_pause(slot, jitter=jitter)
        slot.failures += 1
        wait = grown if pause is None else max(pause, grown)
        slot.not_before = now + wait
        if slot.pending is None:
            slot.pending, slot.due = write, slot.not_before
        slot.due = max(slot.due, slot.not_before)
        self._schedule(uid, slot)
        return wait

    def outdated(self, write: Write, *, now: float, jitter: float) -> None:
        """The object has changed since the decision: drop the write. The caller decides again."""
        uid, slot = write.who.uid, self._slot(write.who.uid)
        if slot is None or slot.in_flight != write:
            return
        slot.in_flight, slot.refused = None, None
        # Once is normal. A repeated cause must not keep the API server busy.
        if slot.failures:
            slot.not_before = now + _grown_pause(slot, jitter=jitter)
        slot.failures += 1
        if slot.pending:
            slot.due = max(slot.due, slot.not_before)
        self._schedule(uid, slot)

    def refused(self, write: Write, *, instead: Write, now: float, jitter: float) -> None:
        """The API server rejected the write for good: send `instead`, which is smaller."""
        pause = _REFUSED_PAUSE if instead.status == write.status else None
        self.failed(instead, now=now, jitter=jitter, pause=pause)
        self._opened(write.who.uid).refused = write.status

    def is_on_its_way(self, uid: str, *, status: Mapping[str, Any]) -> bool:
        """Whether this status of the run is in flight."""
        slot = self._slot(uid)
        return slot is not None and slot.in_flight is not None and slot.in_flight.status == status

    def final_on_its_way(self, uid: str) -> bool:
        """Whether a final status of the run is in flight."""
        slot = self._slot(uid)
        return slot is not None and slot.in_flight is not None and slot.in_flight.is_final

    def hurry(self, *, now: float) -> None:
        """Make all pending writes due, except for pauses after failures. For the end of the process."""
        for uid, state in self._states.items():
            slot = state.writes
            if slot and slot.pending:
                slot.due = max(now, slot.not_before)
                self._schedule(uid, slot)

    def next_due(self) -> float | None:
        """When `take_due` may return a write; None: not before the next offer or answer."""
        return min((heap[0][0] for heap in (self._finals_due, self._others_due) if heap), default=None)

    def unsent(self) -> int:
        """The number of writes that are pending or in flight."""
        slots = (state.writes for _, state in self._states.items())
        return sum(1 for slot in slots if slot and (slot.pending or slot.in_flight))

    def _slot(self, uid: str) -> WriteSlot | None:
        state = self._states.get(uid)
        return state.writes if state else None

    def _opened(self, uid: str) -> WriteSlot:
        """The run's slot; for a run without a state, a slot that is not stored."""
        state = self._states.get(uid)
        if state is None:
            return WriteSlot()
        if state.writes is None:
            state.writes = WriteSlot()
        return state.writes

    @staticmethod
    def _is_shown(slot: WriteSlot, *, write: Write) -> bool:
        """Whether the object has this status, or cannot have it. Writing it would never end."""
        if slot.refused == write.status:
            return not write.is_final
        same = slot.written is not None and slot.written.status == write.status
        return same and 0 < write.version <= slot.written_version

    @staticmethod
    def _after_our_own(write: Write, *, slot: WriteSlot) -> Write:
        """The operator's own last write does not make a later write outdated."""
        version = max(write.version, slot.written_version) if write.version else 0
        return replace(write, version=version)

    def _earliest(self, slot: WriteSlot, *, write: Write) -> float:
        if slot.written_at is None or write.is_final:
            return 0.0
        return slot.written_at + (_MINOR_SPACING if write.urgency is Urgency.MINOR else _PHASE_SPACING)

    def _schedule(self, uid: str, slot: WriteSlot) -> None:
        if slot.in_flight is None and slot.pending is not None:
            heap = self._finals_due if slot.pending.is_final else self._others_due
            heapq.heappush(heap, (slot.due, uid))


def _grown_pause(slot: WriteSlot, *, jitter: float) -> float:
    """A pause in seconds that doubles with each failure."""
    return min(_FIRST_PAUSE * float(2 ** min(slot.failures, 30)), _LONGEST_PAUSE) * (0.5 + jitter / 2)
