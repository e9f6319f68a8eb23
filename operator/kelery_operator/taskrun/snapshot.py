"""A TaskRun as the operator last saw it. Reading never fails: what cannot be run is seen with its problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from kelery.errors import InvalidInput
from kelery.run.model import CancelMode, TaskRun
from kelery.run.phases import FINAL_PHASES
from kelery.taskrun import manifest
from kelery.taskrun.manifest import Identity

_LONG_AGO = datetime.fromtimestamp(0, tz=UTC)
_FINAL_WORDS = frozenset(phase.value for phase in FINAL_PHASES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What decides about a TaskRun, and its status for comparison with what is to be written."""

    who: Identity
    #: 0 if it cannot be compared; later states of one object have higher ones.
    version: int
    generation: int
    created: datetime
    #: Its version when it was first met; of one that nobody has touched, this is the order of creation.
    first_version: int
    status: Mapping[str, Any]
    cancel: CancelMode | None
    ttl_seconds: int | None
    tracked: bool
    #: None if its spec cannot be read; then `problem` says why and `body` is kept for the record of that.
    run: TaskRun | None
    problem: InvalidInput | None = None
    body: Mapping[str, Any] | None = None

    @property
    def is_final(self) -> bool:
        """Whether the API server shows a final phase."""
        return is_final_status(self.status)

    @property
    def order(self) -> tuple[datetime, int, str, str]:
        """First come, first served: the time of creation has whole seconds only, so the version decides."""
        return (self.created, self.first_version, self.who.name, self.who.namespace)


def is_final_status(status: Mapping[str, Any]) -> bool:
    """Whether a status as shown says that the run has ended."""
    phase = status.get("phase")
    return isinstance(phase, str) and phase in _FINAL_WORDS


def completed_at(status: Mapping[str, Any]) -> float | None:
    """When the run ended, seconds since the epoch, as a status shows it."""
    text = status.get("completionTime")
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
    except (ValueError, OverflowError):
        return None


def look_at(body: Mapping[str, Any], *, first_version: int = 0) -> Snapshot:
    """Read an object of the API server; total, whatever somebody wrote into it."""
    metadata = _mapping(body.get("metadata"))
    try:
        run = manifest.parse_task_run(body)
    except InvalidInput as problem:
        return _unreadable(body, problem=problem, first_version=first_version)
    except Exception as error:
        # A reader that trips over one object must not take the operator down: the object ends with a reason.
        broken = InvalidInput("spec", f"cannot be read ({type(error).__name__})")
        return _unreadable(body, problem=broken, first_version=first_version)
    return Snapshot(
        who=manifest.identity(body),
        version=version_of(metadata),
        generation=run.generation,
        created=run.created,
        first_version=first_version or version_of(metadata),
        status=run.status,
        cancel=run.spec.cancel,
        ttl_seconds=run.spec.ttl_seconds_after_finished,
        tracked=run.tracked,
        run=run,
    )


def look_again(body: Mapping[str, Any], *, known: Snapshot) -> Snapshot:
    """Read a later state of an object that is known; its spec, only if it has changed.

    The API server counts a spec's changes in the object's generation.
    """
    metadata = _mapping(body.get("metadata"))
    if known.run is None or metadata.get("generation") != known.generation:
        return look_at(body, first_version=known.first_version)
    return replace(
        known,
        version=version_of(metadata),
        status=dict(_mapping(body.get("status"))),
        tracked=manifest.is_tracked(metadata),
    )


def version_of(metadata: Mapping[str, Any]) -> int:
    """The resourceVersion as a number that grows; 0 if it is none."""
    text = metadata.get("resourceVersion")
    return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else 0


def _unreadable(body: Mapping[str, Any], *, problem: InvalidInput, first_version: int) -> Snapshot:
    metadata, spec = _mapping(body.get("metadata")), _mapping(body.get("spec"))
    cancel, ttl, generation = (
        spec.get("cancel"),
        spec.get("ttlSecondsAfterFinished"),
        metadata.get("generation"),
    )
    return Snapshot(
        who=manifest.identity(body),
        version=version_of(metadata),
        generation=generation if isinstance(generation, int) else 1,
        created=_LONG_AGO,
        first_version=first_version or version_of(metadata),
        status=dict(_mapping(body.get("status"))),
        cancel=next((mode for mode in CancelMode if mode.value == cancel), None),
        ttl_seconds=ttl if isinstance(ttl, int) and not isinstance(ttl, bool) and ttl >= 0 else None,
        tracked=False,
        run=None,
        problem=problem,
        body=body,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
