"""A run's record -> what the gateway shows: a TaskRun, or a TaskOut in Celery's words. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from kelery import json_codec, timestamps
from kelery.run.model import Record
from kelery.run.phases import Phase, Reason
from kelery.taskrun import status
from kelery.taskrun.resource import GROUP, KIND, VERSION

API_VERSION = f"{GROUP}/{VERSION}"
#: Where a run shows through which door it came, and who asked.
ORIGIN, REQUESTER = "kelery.dev/origin", "kelery.dev/requester"

_CELERY_STATES = {
    Phase.WAITING: "PENDING",
    Phase.ADMITTED: "PENDING",
    Phase.RUNNING: "STARTED",
    Phase.CANCELLING: "STARTED",
    Phase.SUCCEEDED: "SUCCESS",
    Phase.FAILED: "FAILURE",
    Phase.CANCELLED: "REVOKED",
}


def task_run(record: Record) -> dict[str, Any]:
    """The run as `kubectl get taskrun -o json` would show it."""
    annotations = {ORIGIN: record.origin}
    if record.requester:
        annotations[REQUESTER] = record.requester
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": record.name,
            "namespace": record.namespace,
            "uid": record.uid,
            "creationTimestamp": timestamps.whole(record.queued_at or 0),
            "annotations": annotations,
        },
        "spec": json.loads(record.spec_json),
        "status": status.render(record, previous={}),
    }


def task_run_list(records: Iterable[Record], *, next_page: str) -> dict[str, Any]:
    """One page of runs; `next_page` is "" on the last."""
    return {
        "apiVersion": API_VERSION,
        "kind": f"{KIND}List",
        "metadata": list_metadata(next_page),
        "items": [task_run(record) for record in records],
    }


def list_metadata(next_page: str) -> dict[str, str]:
    """Where the next page is, if there is one."""
    return {"continue": next_page} if next_page else {}


def task_out(record: Record, *, result_json: str | None) -> str:
    """The run as the first doors show it, as JSON; `result` is the return value, or the traceback if it
    failed. The value is put in as it is: not all that a task can return could be read and written again.
    """
    if record.phase is Phase.FAILED:
        result_json = json_codec.compact(_traceback(record.error_json))
    head = json_codec.compact({"id": record.uid, "status": celery_state(record)})
    return f'{head[:-1]},"result":{result_json or "null"}}}\n'


def celery_state(record: Record) -> str:
    """The phase in Celery's words."""
    if record.reason == Reason.RETRY_BACKOFF:
        return "RETRY"
    return _CELERY_STATES[record.phase]


def _traceback(error_json: str) -> str | None:
    """The traceback; of a run that failed without one, what is known."""
    error = json.loads(error_json) if error_json else {}
    if not isinstance(error, Mapping):
        return None
    return error.get("traceback") or error.get("message") or None
