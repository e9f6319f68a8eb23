"""A TaskRun as the API server showed it at one moment: the one type for what the operator knows of an object.

Reading never fails: what cannot be run has a snapshot with its problem.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from kelery.errors import InvalidInput
from kelery.run.model import RunSpec
from kelery.run.phases import FINAL_PHASES
from kelery.taskrun.resource import (
    Identity,
    created_at,
    generation_of,
    identity,
    is_tracked,
    version_of,
)
from kelery.taskrun.spec import parse_readable_part, parse_spec
from kelery.taskrun.validation import as_mapping, as_text

_FINAL_WORDS = frozenset(phase.value for phase in FINAL_PHASES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What decides about a TaskRun, and its status for comparison with what is to be written."""

    who: Identity
    #: 0 if it cannot be compared; later states of one object have higher ones.
    version: int
    #: 1 until the spec changes; tells a cancel set at creation from a later one.
    generation: int
    created: datetime
    #: Its version when it was first met; of one that nobody has touched, this is the order of creation.
    first_version: int
    #: Helm, Argo CD or Flux would create it again, so the default ttl is not for it.
    tracked: bool
    #: As the API server has it; {} if there is none.
    status: Mapping[str, Any]
    #: If there is a problem, only the part of it that can be read.
    spec: RunSpec
    #: Why its spec cannot be run.
    problem: InvalidInput | None

    @property
    def is_final(self) -> bool:
        """Whether the API server shows a final phase."""
        phase = self.status.get("phase")
        return isinstance(phase, str) and phase in _FINAL_WORDS

    @property
    def order(self) -> tuple[datetime, int, str, str]:
        """First come, first served: the time of creation has whole seconds only, so the version decides."""
        return (self.created, self.first_version, self.who.name, self.who.namespace)


def _nothing(_: str) -> None:
    return None


def snapshot_of(
    body: Mapping[str, Any], *, known_of: Callable[[str], Snapshot | None] = _nothing
) -> Snapshot:
    """Read an object of the API server; total, whatever somebody wrote into it.

    `known_of` gives the snapshot of a uid that was met before. Of such an object the spec is read again only
    if it changed: the API server counts a spec's changes in the object's generation.
    """
    whole = as_mapping(body)
    metadata = as_mapping(whole.get("metadata"))
    version, known = version_of(metadata), known_of(as_text(metadata.get("uid")))
    if known and known.version == version > 0:
        return known
    status = dict(as_mapping(whole.get("status")))
    if known and known.problem is None and metadata.get("generation") == known.generation:
        return replace(known, version=version, status=status, tracked=is_tracked(metadata))
    spec, problem = _read_spec(whole.get("spec"))
    return Snapshot(
        who=identity(metadata),
        version=version,
        generation=generation_of(metadata),
        created=created_at(metadata),
        first_version=(known.first_version if known else 0) or version,
        tracked=is_tracked(metadata),
        status=status,
        spec=spec,
        problem=problem,
    )


def completed_at(status: Mapping[str, Any]) -> float | None:
    """When the run ended, seconds since the epoch, as a status shows it."""
    text = status.get("completionTime")
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None


def _read_spec(spec: Any) -> tuple[RunSpec, InvalidInput | None]:
    try:
        return parse_spec(spec or {}), None
    except InvalidInput as problem:
        return parse_readable_part(spec), problem
    except Exception as error:
        # A reader that trips over one object must not take the operator down: the object ends with a reason.
        broken = InvalidInput("spec", f"cannot be read ({type(error).__name__})")
        return parse_readable_part(spec), broken
