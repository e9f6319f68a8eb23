"""One status write, and the state of all writes of one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kelery.taskrun.resource import Identity
from kelery_operator.taskrun.actions import Urgency


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One status write for one TaskRun."""

    who: Identity
    status: Mapping[str, Any]
    rev: int
    urgency: Urgency
    #: The version of the object that the decision was based on, and which it must still have; 0: any.
    version: int = 0

    @property
    def is_final(self) -> bool:
        return self.urgency is Urgency.FINAL


@dataclass(slots=True)
class WriteSlot:
    """The writes of one run: pending, in flight, and the last one that succeeded."""

    pending: Write | None = None
    due: float = 0.0
    in_flight: Write | None = None
    written: Write | None = None
    #: The version of the object after it.
    written_version: int = 0
    #: The status that the API server rejected.
    refused: Mapping[str, Any] | None = None
    written_at: float | None = None
    not_before: float = 0.0
    failures: int = 0
