"""Renders a run's record as a TaskRun, or as a TaskOut with Celery's states. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from kelery import json_codec, timestamps
from kelery.run.model import Record
from kelery.run.phases import Phase, Reason
from kelery.taskrun import status
from kelery_api.models import ListMetadata, TaskRun, TaskRunList

#: Annotations: the API that created the run, and the user who created it.
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


def task_run(record: Record) -> TaskRun:
    """The run as `kubectl get taskrun -o json` shows it."""
    annotations = {ORIGIN: record.origin}
    if record.requester:
        annotations[REQUESTER] = record.requester
    return {
        "apiVersion": "kelery.dev/v1alpha1",
        "kind": "TaskRun",
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


def task_run_list(records: Iterable[Record], *, next_page: str) -> TaskRunList:
    """A page of runs. `next_page` is "" on the last page."""
    return {
        "apiVersion": "kelery.dev/v1alpha1",
        "kind": "TaskRunList",
        "metadata": list_metadata(next_page),
        "items": [task_run(record) for record in records],
    }


def list_metadata(next_page: str) -> ListMetadata:
    """The metadata of a list: `continue`, if there is a next page."""
    return {"continue": next_page} if next_page else {}


def task_out(record: Record, *, result_json: str | None) -> str:
    """The run with its Celery state, as JSON. `result` is the return value, or the traceback if the run
    failed.

    The return value is inserted as text, because not every JSON value survives parsing and writing.
    """
    if record.phase is Phase.FAILED:
        result_json = json_codec.compact(_traceback(record.error_json))
    head = json_codec.compact({"id": record.uid, "status": celery_state(record)})
    return f'{head[:-1]},"result":{result_json or "null"}}}\n'


def celery_state(record: Record) -> str:
    """The phase as a Celery state."""
    if record.reason == Reason.RETRY_BACKOFF:
        return "RETRY"
    return _CELERY_STATES[record.phase]


def _traceback(error_json: str) -> str | None:
    """The traceback, else the error's message."""
    error = json.loads(error_json) if error_json else {}
    if not isinstance(error, Mapping):
        return None
    return error.get("traceback") or error.get("message") or None
