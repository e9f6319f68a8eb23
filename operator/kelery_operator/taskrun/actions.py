"""What `decide` may answer: one frozen value for each thing that the operator can do about a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kelery.run.model import CancelMode
from kelery.run.phases import Reason


class Urgency(Enum):
    """How long a status may wait for a newer one that makes it superfluous."""

    #: The last word: at once.
    FINAL = "final"
    #: A phase that is worth showing if it lasts a moment.
    PHASE = "phase"
    #: Admitted and not yet claimed: with an idle worker over in milliseconds, so it waits longer.
    PASSING = "passing"
    #: Progress or position only.
    MINOR = "minor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """Make the run known to the ledger; with `born_final` it ends there at once with that reason."""

    born_final: Reason | None = None
    #: Why it is born final, for the user.
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Stop the run."""

    mode: CancelMode
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteStatus:
    """Show this status; never over one of a higher `rev`."""

    status: Mapping[str, Any]
    rev: int
    urgency: Urgency


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge:
    """Its last status is written, or its TaskRun is gone: the ledger's record may go after a while."""

    retain_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpireLater:
    """Delete the TaskRun at `due`, seconds since the epoch."""

    due: float


@dataclass(frozen=True, slots=True)
class Forget:
    """Nothing is left to do for this run."""


Action = Submit | Cancel | WriteStatus | Acknowledge | ExpireLater | Forget
