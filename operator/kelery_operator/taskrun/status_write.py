"""One status on its way to one TaskRun, and what is remembered of the writes of one run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kelery.taskrun.resource import Identity
from kelery_operator.taskrun.actions import Urgency


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One status on its way to one TaskRun."""

    who: Identity
    status: Mapping[str, Any]
    rev: int
    urgency: Urgency
    #: The version of the object that this was decided upon, which it must still have; 0: any.
    version: int = 0

    @property
    def is_final(self) -> bool:
        return self.urgency is Urgency.FINAL


@dataclass(slots=True)
class WriteSlot:
    """The writes of one run: the one that waits, the one on its way, and the last one that arrived."""

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
