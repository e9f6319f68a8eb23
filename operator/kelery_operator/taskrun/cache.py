"""The TaskRuns as last seen, by uid: those that are not finished, as far as the operator knows.

Fed by the watch, by lists and by the answers to our own writes; an older state never replaces a newer one.
A uid that was found gone stays so: uids do not come back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from kelery.taskrun.resource import identity, metadata_of, version_of
from kelery_operator.taskrun.decide import Presence
from kelery_operator.taskrun.snapshot import Snapshot, snapshot_of

_NEVER = datetime.max.replace(tzinfo=UTC)


class Cache:
    """What the operator knows of the API server."""

    def __init__(self) -> None:
        self._seen: dict[str, Snapshot] = {}
        self._gone: set[str] = set()

    def __len__(self) -> int:
        return len(self._seen)

    def put(self, body: Mapping[str, Any]) -> Snapshot | None:
        """Take a state in; None if it says nothing new."""
        metadata = metadata_of(body)
        who, version = identity(metadata), version_of(metadata)
        if not who.uid or who.uid in self._gone:
            return None
        known = self._seen.get(who.uid)
        if known is not None and version and version <= known.version:
            return None
        seen = snapshot_of(body, known=known)
        self._seen[who.uid] = seen
        return seen

    def get(self, uid: str) -> Snapshot | None:
        """The run as last seen, if it is there."""
        return self._seen.get(uid)

    def presence(self, uid: str) -> Presence:
        """Whether the API server has it, as far as is known."""
        if uid in self._gone:
            return Presence.GONE
        return Presence.PRESENT if uid in self._seen else Presence.UNKNOWN

    def mark_gone(self, uid: str) -> None:
        """It was looked for and is not there."""
        self._seen.pop(uid, None)
        self._gone.add(uid)

    def discard(self, uid: str) -> None:
        """Nothing is left to do for it."""
        self._seen.pop(uid, None)
        self._gone.discard(uid)

    def place(self, uid: str) -> tuple[str, tuple[datetime, int, str, str]]:
        """Its namespace, and its place there: first come, first served."""
        seen = self._seen.get(uid)
        return (seen.who.namespace, seen.order) if seen else ("", (_NEVER, 0, uid, ""))

    def uids(self) -> list[str]:
        """All that are there or gone and not yet dealt with."""
        return [*self._seen, *self._gone]

    def present(self) -> Iterable[Snapshot]:
        """All that are there."""
        return list(self._seen.values())
