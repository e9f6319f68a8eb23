"""The actions that `decide` can return: one frozen type for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kelery.run.model import CancelMode
from kelery.run.phases import Reason


class Urgency(Enum):
    """How long a status may wait for a newer one that replaces it."""

    #: A final status: immediately.
    FINAL = "final"
    #: A phase that is shown if it lasts a moment.
    PHASE = "phase"
    #: Admitted and not yet claimed. An idle worker ends it within milliseconds, so it waits longer.
    PASSING = "passing"
    #: Only progress, position or other details.
    MINOR = "minor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """Submit the run to the ledger. With `born_final`, it ends there at once with this reason."""

    born_final: Reason | None = None
    #: Why it is born final, for users.
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Stop the run."""

    mode: CancelMode
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteStatus:
    """Write this status. It never replaces one with a higher `rev`."""

    status: Mapping[str, Any]
    rev: int
    urgency: Urgency


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge:
    """The last status is written, or the TaskRun is gone: the ledger may purge the record later."""

    retain_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireLater:
    """Delete the TaskRun at `due`, in seconds since the epoch."""

    due: float


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop the state of the run: nothing is left to do."""


Action = Submit | Cancel | WriteStatus | Acknowledge | ExpireLater | Forget
