"""A snapshot of a TaskRun: the object as the API server showed it at one moment.

Reading never fails: an invalid TaskRun has a snapshot with its problem.
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
    """The fields of a TaskRun that decisions need, and its status."""

    who: Identity
    #: The resourceVersion; it grows with each change of the object. 0 if it cannot be compared.
    version: int
    #: 1 until the spec changes. Distinguishes a cancel at creation from a later one.
    generation: int
    created: datetime
    #: The version when it was first seen. For untouched objects, this is the order of creation.
    first_version: int
    #: Helm, Argo CD or Flux manages it and would create it again, so it has no default ttl.
    tracked: bool
    #: The status in the API server; {} if there is none.
    status: Mapping[str, Any]
    #: If there is a problem, only the readable part.
    spec: RunSpec
    #: Why the spec is invalid; None if it is valid.
    problem: InvalidInput | None

    @property
    def is_final(self) -> bool:
        """Whether the status has a final phase."""
        phase = self.status.get("phase")
        return isinstance(phase, str) and phase in _FINAL_WORDS

    @property
    def order(self) -> tuple[datetime, int, str, str]:
        """First come, first served. The creation time has only whole seconds, so the version decides next."""
        return (self.created, self.first_version, self.who.name, self.who.namespace)


def _nothing(_: str) -> None:
    return None


def snapshot_of(
    body: Mapping[str, Any], *, known_of: Callable[[str], Snapshot | None] = _nothing
) -> Snapshot:
    """Read an object of the API server. Total: accepts any content.

    `known_of` returns the earlier snapshot of a uid. The spec of a known object is parsed again only if the
    object's generation has changed.
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
    """When the run ended according to its status, in seconds since the epoch."""
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
        # One unreadable object must not stop the operator. Its run ends with a reason.
        broken = InvalidInput("spec", f"cannot be read ({type(error).__name__})")
        return parse_readable_part(spec), broken
