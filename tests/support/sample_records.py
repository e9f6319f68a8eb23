"""Records as the ledger returns them, for tests of code that reads records."""

from dataclasses import replace
from typing import Any

from kelery.run.model import Record
from kelery.run.phases import Phase, Reason

#: 2026-11-22T10:00:00Z
START = 1795341600_000000
SECOND = 1_000000

_WAITING = Record(
    uid="u-1",
    phase=Phase.WAITING,
    reason=Reason.WAITING_FOR_KEY.value,
    rev=1,
    attempt=1,
    fence=0,
    worker="",
    cluster="c",
    namespace="team",
    name="report",
    origin="TaskRun",
    key="team/k",
    limit=1,
    queue="batch",
    task="demo.add",
    queued_at=START,
    admitted_at=None,
    started_at=None,
    finished_at=None,
    due=None,
    cancel="",
    cancel_reason="",
    cancel_message="",
    progress_json="",
    error_json="",
    spec_json='{"task":"demo.add"}',
    result_bytes=0,
    result_json="",
    position=1,
    attempts=(),
    held_by=("other",),
    requester="",
    is_deleted=False,
)
_ADMITTED: dict[str, Any] = {
    "phase": Phase.ADMITTED,
    "reason": Reason.WAITING_FOR_WORKER.value,
    "admitted_at": START + SECOND,
    "position": 0,
    "held_by": (),
}
_RUNNING: dict[str, Any] = {
    **_ADMITTED,
    "phase": Phase.RUNNING,
    "reason": Reason.STARTED.value,
    "fence": 418,
    "worker": "celery@host/with/slashes/4f2a",
    "started_at": START + 2 * SECOND + 250000,
}
_ENDED: dict[str, Any] = {**_RUNNING, "finished_at": START + 3 * SECOND + 999999}


def waiting(**changes: Any) -> Record:
    """The record of a run that waits for its key."""
    return replace(_WAITING, **changes)


def admitted(**changes: Any) -> Record:
    """The record of a run that waits for a worker."""
    return replace(_WAITING, **{**_ADMITTED, **changes})


def running(**changes: Any) -> Record:
    """The record of a claimed run."""
    return replace(_WAITING, **{**_RUNNING, **changes})


def succeeded(result_json: str, **changes: Any) -> Record:
    """The record of a run that succeeded."""
    end = {"phase": Phase.SUCCEEDED, "reason": Reason.COMPLETED.value}
    size = {"result_json": result_json, "result_bytes": len(result_json.encode())}
    return replace(_WAITING, **{**_ENDED, **end, **size, **changes})


def failed(reason: Reason, **changes: Any) -> Record:
    """The record of a run that started and failed."""
    return replace(_WAITING, **{**_ENDED, "phase": Phase.FAILED, "reason": reason.value, **changes})
