"""What the operator knows about each run: one state per uid.

The watch, lists and the answers to status writes update it. Invariants: an older snapshot never replaces a
newer one; a uid that is gone stays gone, because uids are not reused.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from kelery.run.model import Record
from kelery_operator.taskrun.snapshot import Snapshot, snapshot_of
from kelery_operator.taskrun.status_write import WriteSlot

_NEVER = datetime.max.replace(tzinfo=UTC)
_ENDS_REMEMBERED = 50_000


class Presence(Enum):
    """Whether the TaskRun exists in the API server."""

    PRESENT = "present"
    #: Checked: it does not exist, or its name belongs to another object.
    GONE = "gone"
    #: Not seen yet. Resync finds out.
    UNKNOWN = "unknown"


@dataclass(slots=True, kw_only=True)
class RunState:
    """A run that the operator has seen and that still needs work."""

    #: The TaskRun as last seen; None if it is gone.
    snapshot: Snapshot | None
    #: Whether this operator has submitted it to the ledger.
    is_submitted: bool = False
    #: The record of an ended run whose last status was offered. An ended run does not change, so the operator
    #: reads it once.
    ended: Record | None = None
    #: The key whose queue position the run shows; "" if none.
    position_key: str = ""
    #: The status writes of the run; None if there are none.
    writes: WriteSlot | None = None

    @property
    def presence(self) -> Presence:
        """Whether its TaskRun exists, as far as known."""
        return Presence.GONE if self.snapshot is None else Presence.PRESENT

    @property
    def is_untouched(self) -> bool:
        """Whether it looks new: not submitted, not cancelled, without a status or a problem."""
        snapshot = self.snapshot
        if snapshot is None or self.is_submitted:
            return False
        return snapshot.problem is None and snapshot.spec.cancel is None and not snapshot.status


class RunStates:
    """The states of all runs. The written ends are remembered longer than the states."""

    def __init__(self) -> None:
        self._states: dict[str, RunState] = {}
        #: uid -> version of the object after the operator wrote its final status
        self._ends: OrderedDict[str, int] = OrderedDict()

    def present_count(self) -> int:
        """The number of existing TaskRuns."""
        return sum(1 for state in self._states.values() if state.snapshot)

    def read(self, body: Mapping[str, Any]) -> Snapshot:
        """The snapshot of an object. For a known object, reads only what may have changed."""
        return snapshot_of(body, known_of=self.snapshot)

    def put(self, snapshot: Snapshot) -> bool:
        """Store a snapshot; False if it contains nothing new."""
        uid = snapshot.who.uid
        state = self._states.get(uid)
        if state is None:
            if uid:
                self._states[uid] = RunState(snapshot=snapshot)
            return bool(uid)
        known = state.snapshot
        if known is None or 0 < snapshot.version <= known.version:
            return False
        state.snapshot = snapshot
        return True

    def get(self, uid: str) -> RunState | None:
        """The state of a run; None if it is unknown, or if nothing is left to do."""
        return self._states.get(uid)

    def snapshot(self, uid: str) -> Snapshot | None:
        """The TaskRun as last seen, if it exists."""
        state = self._states.get(uid)
        return state.snapshot if state else None

    def version(self, uid: str) -> int:
        """The version of its TaskRun as last seen; 0 if it does not exist."""
        snapshot = self.snapshot(uid)
        return snapshot.version if snapshot else 0

    def presence(self, uid: str) -> Presence:
        """Whether its TaskRun exists, as far as known."""
        state = self._states.get(uid)
        return state.presence if state else Presence.UNKNOWN

    def mark_gone(self, uid: str) -> None:
        """Note that its TaskRun does not exist."""
        self._states.setdefault(uid, RunState(snapshot=None)).snapshot = None

    def forget_writes(self, uid: str) -> None:
        """Drop its status writes."""
        if state := self._states.get(uid):
            state.writes = None

    def forget(self, uid: str) -> None:
        """Drop its state: nothing is left to do."""
        self._states.pop(uid, None)

    def forget_unchanged(self, uid: str, *, seen: Snapshot | None) -> None:
        """Drop its state, unless its TaskRun has changed since: then the run is queued."""
        state = self._states.get(uid)
        if state and state.snapshot is seen:
            self.forget(uid)

    def place(self, uid: str) -> tuple[str, tuple[datetime, int, str, str]]:
        """The lane and order in the work queue: namespace, then first come, first served."""
        snapshot = self.snapshot(uid)
        return (snapshot.who.namespace, snapshot.order) if snapshot else ("", (_NEVER, 0, uid, ""))

    def items(self) -> Iterator[tuple[str, RunState]]:
        """All known runs with work left, with their uids."""
        return iter(self._states.items())

    def uids(self) -> list[str]:
        """The uids of all known runs with work left."""
        return list(self._states)

    def present(self) -> list[Snapshot]:
        """All existing TaskRuns."""
        return [state.snapshot for state in self._states.values() if state.snapshot]

    def note_end(self, uid: str, *, version: int) -> None:
        """Note that its final status is written. `version` is that of the object after the write."""
        self._ends[uid] = version
        while len(self._ends) > _ENDS_REMEMBERED:
            self._ends.popitem(last=False)

    def end_version(self, uid: str) -> int | None:
        """The version of the object after its final status was written; None if not remembered."""
        return self._ends.get(uid)

    def is_final_written(self, uid: str) -> bool:
        """Whether its final status was written, and no later change of the object is known."""
        end, snapshot = self._ends.get(uid), self.snapshot(uid)
        return end is not None and (snapshot is None or snapshot.version <= end)
