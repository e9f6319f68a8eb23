"""Which status write goes out when. Pure: the caller brings the clock and does the sending.

Invariants: one write of a run is on its way at a time; the latest status wins, unless it is outdated; a lower
`rev` is never sent after a higher one; a final status waits for nothing but a write of the same run that is
on its way, and is the last one unless somebody undoes it.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kelery_operator.taskrun.actions import Urgency
from kelery_operator.taskrun.run_state import RunStates
from kelery_operator.taskrun.status_write import Write, WriteSlot

#: How long a status waits for a newer one that makes it superfluous.
DELAYS = {Urgency.FINAL: 0.0, Urgency.PHASE: 0.05, Urgency.PASSING: 0.25, Urgency.MINOR: 0.05}
_PHASE_SPACING = 0.2
_MINOR_SPACING = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 15.0
_REFUSED_PAUSE = 5.0


class Coalescer:
    """The pending writes of all runs; those of a run that is forgotten are forgotten with it."""

    def __init__(self, states: RunStates) -> None:
        self._states = states
        #: Final ones go before all others: under a backlog, ends are what people wait for.
        self._finals_due: list[tuple[float, str]] = []
        self._others_due: list[tuple[float, str]] = []

    def offer(self, write: Write, *, now: float, since: float | None = None) -> None:
        """Note the newest status of a run; `since`: when there was news of it, if that was before now."""
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
        # A newer phase does not push back the time of a write that waits already.
        slot.due = min(due, slot.due) if slot.pending and not write.is_final else due
        slot.pending = write
        self._schedule(uid, slot)

    def take_due(self, *, now: float, most: int) -> list[Write]:
        """Up to `most` writes to be sent now; each is on its way until `written`, `failed` or forgotten."""
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
        """The API server has taken it; `version` is the object's now."""
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
        """It did not arrive: again (or what is newer by then) after the pause that is returned."""
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
        """The object has changed since: the write is dropped, and the caller has the run decided again."""
        uid, slot = write.who.uid, self._slot(write.who.uid)
        if slot is None or slot.in_flight != write:
            return
        slot.in_flight, slot.refused = None, None
        # Once is usual. Whatever makes it happen over and over must not keep the API server busy.
        if slot.failures:
            slot.not_before = now + _grown_pause(slot, jitter=jitter)
        slot.failures += 1
        if slot.pending:
            slot.due = max(slot.due, slot.not_before)
        self._schedule(uid, slot)

    def refused(self, write: Write, *, instead: Write, now: float, jitter: float) -> None:
        """The API server does not take it, and would not take it the next time: something smaller instead."""
        pause = _REFUSED_PAUSE if instead.status == write.status else None
        self.failed(instead, now=now, jitter=jitter, pause=pause)
        self._opened(write.who.uid).refused = write.status

    def is_on_its_way(self, uid: str, *, status: Mapping[str, Any]) -> bool:
        """Whether this status of it was sent and not yet answered."""
        slot = self._slot(uid)
        return slot is not None and slot.in_flight is not None and slot.in_flight.status == status

    def final_on_its_way(self, uid: str) -> bool:
        """Whether a final status of it was sent and not yet answered."""
        slot = self._slot(uid)
        return slot is not None and slot.in_flight is not None and slot.in_flight.is_final

    def hurry(self, *, now: float) -> None:
        """Before the end of the process: everything that waits is due, but for the pause after a failure."""
        for uid, state in self._states.items():
            slot = state.writes
            if slot and slot.pending:
                slot.due = max(now, slot.not_before)
                self._schedule(uid, slot)

    def next_due(self) -> float | None:
        """When `take_due` may have something; None: not before the next offer or answer."""
        return min((heap[0][0] for heap in (self._finals_due, self._others_due) if heap), default=None)

    def unsent(self) -> int:
        """How many writes wait or are on their way."""
        slots = (state.writes for _, state in self._states.items())
        return sum(1 for slot in slots if slot and (slot.pending or slot.in_flight))

    def _slot(self, uid: str) -> WriteSlot | None:
        state = self._states.get(uid)
        return state.writes if state else None

    def _opened(self, uid: str) -> WriteSlot:
        """The run's slot; for a run that was forgotten meanwhile, one that leads nowhere."""
        state = self._states.get(uid)
        if state is None:
            return WriteSlot()
        if state.writes is None:
            state.writes = WriteSlot()
        return state.writes

    @staticmethod
    def _is_shown(slot: WriteSlot, *, write: Write) -> bool:
        """Whether the object has it, in the server's words, or cannot have it: writing would never end."""
        if slot.refused == write.status:
            return not write.is_final
        same = slot.written is not None and slot.written.status == write.status
        return same and 0 < write.version <= slot.written_version

    @staticmethod
    def _after_our_own(write: Write, *, slot: WriteSlot) -> Write:
        """Our own last write makes no later one outdated."""
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
    """It doubles with each failure."""
    return min(_FIRST_PAUSE * float(2 ** min(slot.failures, 30)), _LONGEST_PAUSE) * (0.5 + jitter / 2)
