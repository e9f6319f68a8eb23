"""What the operator knows of each run: one state per uid, so that a run is forgotten by one deletion.

Fed by the watch, by lists and by the answers to our own writes; an older snapshot never replaces a newer one.
A uid that was found gone stays so: uids do not come back.
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
    """Whether the API server has the TaskRun."""

    PRESENT = "present"
    #: Looked for, and not there (or another object of its name is).
    GONE = "gone"
    #: Not met yet: resync finds out.
    UNKNOWN = "unknown"


@dataclass(slots=True, kw_only=True)
class RunState:
    """One run that was met and is not finished, as far as the operator knows."""

    #: Its TaskRun as last seen; None: it is gone.
    snapshot: Snapshot | None
    #: It was submitted to the ledger from here.
    is_submitted: bool = False
    #: Its record once it has ended and its last status was offered: what has ended does not change, so the
    #: ledger is asked for it once.
    ended: Record | None = None
    #: The key in whose queue its position is shown; "" if none is.
    position_key: str = ""
    #: Its status writes; None: there is none to remember.
    writes: WriteSlot | None = None

    @property
    def presence(self) -> Presence:
        """Whether the API server has it, as far as is known."""
        return Presence.GONE if self.snapshot is None else Presence.PRESENT

    @property
    def is_untouched(self) -> bool:
        """Whether nobody has done anything about it, as far as is known here."""
        snapshot = self.snapshot
        if snapshot is None or self.is_submitted:
            return False
        return snapshot.problem is None and snapshot.spec.cancel is None and not snapshot.status


class RunStates:
    """The states of all runs, and the ends that were written: those are remembered past their states."""

    def __init__(self) -> None:
        self._states: dict[str, RunState] = {}
        #: uid -> version of the object with the final status that we wrote
        self._ends: OrderedDict[str, int] = OrderedDict()

    def present_count(self) -> int:
        """How many TaskRuns are there."""
        return sum(1 for state in self._states.values() if state.snapshot)

    def read(self, body: Mapping[str, Any]) -> Snapshot:
        """An object of the API server; of one that was met, no more is read than may have changed."""
        return snapshot_of(body, known_of=self.snapshot)

    def put(self, snapshot: Snapshot) -> bool:
        """Take a snapshot in; False if it says nothing new."""
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
        """None: it was not met yet, or nothing is left to do for it."""
        return self._states.get(uid)

    def snapshot(self, uid: str) -> Snapshot | None:
        """Its TaskRun as last seen, if it is there."""
        state = self._states.get(uid)
        return state.snapshot if state else None

    def version(self, uid: str) -> int:
        """The version of its TaskRun as last seen; 0 if it is not there."""
        snapshot = self.snapshot(uid)
        return snapshot.version if snapshot else 0

    def presence(self, uid: str) -> Presence:
        """Whether the API server has it, as far as is known."""
        state = self._states.get(uid)
        return state.presence if state else Presence.UNKNOWN

    def mark_gone(self, uid: str) -> None:
        """It was looked for and is not there."""
        self._states.setdefault(uid, RunState(snapshot=None)).snapshot = None

    def forget_writes(self, uid: str) -> None:
        """Its TaskRun is gone, or nothing more is to be written."""
        if state := self._states.get(uid):
            state.writes = None

    def forget(self, uid: str) -> None:
        """Nothing is left to do for it."""
        self._states.pop(uid, None)

    def forget_unchanged(self, uid: str, *, seen: Snapshot | None) -> None:
        """Nothing is left to do for it, unless its TaskRun has changed since: then the run is queued."""
        state = self._states.get(uid)
        if state and state.snapshot is seen:
            self.forget(uid)

    def place(self, uid: str) -> tuple[str, tuple[datetime, int, str, str]]:
        """Its namespace, and its place there: first come, first served."""
        snapshot = self.snapshot(uid)
        return (snapshot.who.namespace, snapshot.order) if snapshot else ("", (_NEVER, 0, uid, ""))

    def items(self) -> Iterator[tuple[str, RunState]]:
        """All that were met and are not dealt with, by uid."""
        return iter(self._states.items())

    def uids(self) -> list[str]:
        """All that were met and are not dealt with."""
        return list(self._states)

    def present(self) -> list[Snapshot]:
        """All TaskRuns that are there."""
        return [state.snapshot for state in self._states.values() if state.snapshot]

    def note_end(self, uid: str, *, version: int) -> None:
        """The API server took its final status; `version` is the object's with it."""
        self._ends[uid] = version
        while len(self._ends) > _ENDS_REMEMBERED:
            self._ends.popitem(last=False)

    def end_version(self, uid: str) -> int | None:
        """The object's version with the final status that we wrote; None: none that is remembered."""
        return self._ends.get(uid)

    def is_final_written(self, uid: str) -> bool:
        """Whether we wrote its final status, and the object has not changed since, as far as is known."""
        end, snapshot = self._ends.get(uid), self.snapshot(uid)
        return end is not None and (snapshot is None or snapshot.version <= end)
