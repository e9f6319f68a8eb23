"""What may be known of a run at one moment, built from manifests as the API server shows them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from kelery.run.model import Record
from kelery.taskrun import status
from kelery_operator.taskrun.decide import Observation
from kelery_operator.taskrun.run_state import Presence, RunStates
from kelery_operator.taskrun.snapshot import Snapshot, snapshot_of

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


def body(
    *,
    uid: str = "uid-1",
    spec: dict[str, Any] | None = None,
    shown: object = None,
    generation: int = 1,
    version: str = "100",
    labels: dict[str, str] | None = None,
    name: str = "run",
) -> dict[str, Any]:
    """A TaskRun as the API server shows it."""
    return {
        "metadata": {
            "uid": uid,
            "namespace": "default",
            "name": name,
            "resourceVersion": version,
            "generation": generation,
            "creationTimestamp": "2026-11-22T11:59:00Z",
            "labels": labels or {},
        },
        "spec": spec if spec is not None else {"task": "demo.add", "args": [1, 2]},
        **({"status": shown} if shown is not None else {}),
    }


def put(states: RunStates, shown: Mapping[str, Any]) -> bool:
    """Store an object as the API server shows it; False if it contains nothing new."""
    return states.put(states.read(shown))


def met(*uids: str) -> RunStates:
    """Some runs whose TaskRuns are there."""
    states = RunStates()
    for uid in uids:
        put(states, body(uid=uid))
    return states


def snapshot(**said: Any) -> Snapshot:
    """The same, as the operator has read it."""
    return snapshot_of(body(**said))


def showing(record: Record, **said: Any) -> Snapshot:
    """A TaskRun whose status matches the record."""
    return snapshot(shown=status.render(record, previous={}), **said)


def present(
    view: Snapshot, record: Record | None, *, answers: bool = True, final_written: bool = False
) -> Observation:
    """A TaskRun that is there."""
    return Observation(
        presence=Presence.PRESENT,
        snapshot=view,
        record=record,
        ledger_answers=answers,
        final_written=final_written,
        default_ttl_seconds=86400,
    )


def gone(record: Record | None, *, answers: bool = True) -> Observation:
    """A TaskRun that is not there any more."""
    return Observation(
        presence=Presence.GONE,
        snapshot=None,
        record=record,
        ledger_answers=answers,
        final_written=False,
        default_ttl_seconds=86400,
    )
