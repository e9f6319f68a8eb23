"""Which status write goes out when. Pure: the caller brings the clock and does the sending.

Invariants: one write of a run is on its way at a time; the latest status wins; a lower `rev` is never sent
after a higher one; a final status waits for nothing but a write of the same run that is on its way, and is
the last one.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kelery.taskrun.resource import Identity
from kelery_operator.taskrun.actions import Urgency

#: How long a status waits for a newer one that makes it superfluous.
DELAYS = {Urgency.FINAL: 0.0, Urgency.PHASE: 0.05, Urgency.PASSING: 0.25, Urgency.MINOR: 0.05}
_PHASE_SPACING = 0.2
_MINOR_SPACING = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 15.0
_REFUSED_PAUSE = 5.0
_FINALS_REMEMBERED = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One status on its way to one TaskRun."""

    who: Identity
    status: Mapping[str, Any]
    rev: int
    urgency: Urgency
    #: The version of the object that this was decided upon.
    version: int = 0

    @property
    def is_final(self) -> bool:
        return self.urgency is Urgency.FINAL


@dataclass(slots=True)
class _Slot:
    pending: Write | None = None
    due: float = 0.0
    in_flight: Write | None = None
    written: Write | None = None
    #: The object's version with it.
    written_version: int = 0
    #: What the API server does not take.
    refused: Mapping[str, Any] | None = None
    written_at: float | None = None
    not_before: float = 0.0
    failures: int = 0


class Coalescer:
    """The pending writes of all runs."""

    def __init__(self) -> None:
        self._slots: dict[str, _Slot] = {}
        #: Final ones go before all others: under a backlog, ends are what people wait for.
        self._finals_due: list[tuple[float, str]] = []
        self._others_due: list[tuple[float, str]] = []
        #: uid -> resourceVersion of the object with its final status.
        self._finals: OrderedDict[str, int] = OrderedDict()

    def offer(self, write: Write, *, now: float, since: float | None = None) -> None:
        """Note the newest status of a run; `since`: when it was heard of, if that was before now."""
        uid = write.who.uid
        if uid in self._finals:
            return
        slot = self._slots.setdefault(uid, _Slot())
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
        heard = now if since is None else min(since, now)
        due = max(heard + DELAYS[write.urgency], slot.not_before, self._earliest(slot, write=write))
        # A newer phase does not push back the time of a write that waits already.
        slot.due = min(due, slot.due) if slot.pending and not write.is_final else due
        slot.pending = write
        self._schedule(uid, slot)

    def take_due(self, *, now: float, most: int) -> list[Write]:
        """Up to `most` writes to be sent now; each is on its way until `written`, `failed` or `drop`."""
        taken: list[Write] = []
        for heap in (self._finals_due, self._others_due):
            while heap and heap[0][0] <= now and len(taken) < most:
                slot = self._slots.get(heapq.heappop(heap)[1])
                if slot is None or slot.pending is None or slot.in_flight is not None or slot.due > now:
                    continue
                slot.in_flight, slot.pending = slot.pending, None
                taken.append(slot.in_flight)
        return taken

    def written(self, write: Write, *, now: float, version: int = 0) -> None:
        """The API server has taken it; `version` is the object's now."""
        uid = write.who.uid
        slot = self._slots.get(uid)
        if write.is_final:
            self._finals[uid] = version
            while len(self._finals) > _FINALS_REMEMBERED:
                self._finals.popitem(last=False)
            self._slots.pop(uid, None)
        elif slot is not None:
            slot.in_flight, slot.failures, slot.not_before = None, 0, 0.0
            slot.written, slot.written_version, slot.written_at = write, version, now
            if slot.pending:
                slot.due = max(slot.due, self._earliest(slot, write=slot.pending))
                self._schedule(uid, slot)

    def failed(self, write: Write, *, now: float, jitter: float, pause: float | None = None) -> float:
        """It did not arrive: again (or what is newer by then) after the pause that is returned."""
        uid = write.who.uid
        slot = self._slots.setdefault(uid, _Slot())
        slot.in_flight = None
        grown = min(_FIRST_PAUSE * float(2 ** min(slot.failures, 30)), _LONGEST_PAUSE) * (0.5 + jitter / 2)
        slot.failures += 1
        wait = grown if pause is None else max(pause, grown)
        slot.not_before = now + wait
        if slot.pending is None:
            slot.pending, slot.due = write, slot.not_before
        slot.due = max(slot.due, slot.not_before)
        self._schedule(uid, slot)
        return wait

    def refused(self, write: Write, *, instead: Write, now: float, jitter: float) -> None:
        """The API server does not take it, and would not take it the next time: something smaller instead."""
        pause = _REFUSED_PAUSE if instead.status == write.status else None
        self.failed(instead, now=now, jitter=jitter, pause=pause)
        self._slots[write.who.uid].refused = write.status

    def drop(self, uid: str) -> None:
        """Its TaskRun is gone, or nothing more is to be said."""
        self._slots.pop(uid, None)

    def final_version(self, uid: str) -> int | None:
        """The object's version with the final status that we wrote; None if we have not."""
        return self._finals.get(uid)

    def is_latest(self, uid: str, *, status: Mapping[str, Any]) -> bool:
        """Whether no other status of it was sent since this one was."""
        slot = self._slots.get(uid)
        latest = (slot.in_flight or slot.written) if slot else None
        return latest is not None and latest.status == status

    def final_on_its_way(self, uid: str) -> bool:
        """Whether a final status of it was sent and not yet answered."""
        slot = self._slots.get(uid)
        return slot is not None and slot.in_flight is not None and slot.in_flight.is_final

    def forget_final(self, uid: str) -> None:
        """Write again if asked to: the watch has confirmed the end, or somebody has undone it."""
        self._finals.pop(uid, None)

    def hurry(self, *, now: float) -> None:
        """Before the end of the process: everything that waits is due, but for the pause after a failure."""
        for uid, slot in self._slots.items():
            if slot.pending:
                slot.due = max(now, slot.not_before)
                self._schedule(uid, slot)

    def next_due(self) -> float | None:
        """When `take_due` may have something; None: not before the next offer or answer."""
        return min((heap[0][0] for heap in (self._finals_due, self._others_due) if heap), default=None)

    def unsent(self) -> int:
        """How many writes wait or are on their way."""
        return sum(1 for slot in self._slots.values() if slot.pending or slot.in_flight)

    @staticmethod
    def _is_shown(slot: _Slot, *, write: Write) -> bool:
        """Whether the object has it, in the server's words, or cannot have it: writing would never end."""
        if slot.refused == write.status:
            return not write.is_final
        same = slot.written is not None and slot.written.status == write.status
        return same and 0 < write.version <= slot.written_version

    def _earliest(self, slot: _Slot, *, write: Write) -> float:
        if slot.written_at is None or write.is_final:
            return 0.0
        return slot.written_at + (_MINOR_SPACING if write.urgency is Urgency.MINOR else _PHASE_SPACING)

    def _schedule(self, uid: str, slot: _Slot) -> None:
        if slot.in_flight is None and slot.pending is not None:
            heap = self._finals_due if slot.pending.is_final else self._others_due
            heapq.heappush(heap, (slot.due, uid))
