"""What the OpenAPI document says of each operation beyond what its signature says: body, answers, problems.

Keyed by the name of the endpoint, which is the operationId too. What holds for all (who may, ids of requests,
failures) is added by `openapi`; a route that is not in here keeps the app from being made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kelery_api.http.problems import Kind
from kelery_api.openapi.crd_schema import Schema
from kelery_api.openapi.schemas import ref

Headers = Mapping[str, Schema]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One good answer; `schema` None: without a body."""

    status: int = 200
    description: str
    schema: Schema | None
    media_type: str = "application/json"
    #: Of a stream: one of its events.
    item_schema: Schema | None = None
    example: Any = None
    headers: Headers = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A request's body."""

    schema: Schema
    examples: Mapping[str, Any]
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation."""

    answers: tuple[Answer, ...]
    body: Body | None = None
    #: Beside those that any operation of its kind may have.
    problems: tuple[Kind, ...] = ()
    needs_ledger: bool = True


_UID = "0b7d3c52-6b6f-4c43-9a52-0f4f7d7f2a55"
_TASK_RUN = {
    "apiVersion": "kelery.dev/v1alpha1",
    "kind": "TaskRun",
    "metadata": {
        "name": "report",
        "namespace": "default",
        "uid": _UID,
        "creationTimestamp": "2026-11-22T18:00:00Z",
        "annotations": {"kelery.dev/origin": "REST"},
    },
    "spec": {"task": "demo.add", "args": [1, 2]},
    "status": {
        "phase": "Succeeded",
        "reason": "Completed",
        "attempt": 1,
        "result": {"value": 3, "truncated": False},
    },
}
_TASK_OUT = {"id": _UID, "status": "STARTED", "result": None}
_KEY = {"key": "report/7", "limit": 1, "held": 1, "waiting": 0}
_HOLDER = {
    "uid": _UID,
    "name": "report",
    "task": "demo.add",
    "phase": "Running",
    "reason": "Started",
    "since": "2026-11-22T18:00:00.000000Z",
}
_QUEUE = {"name": "celery", "queued": 0, "running": 1, "workers": 1}
_WORKER = {
    "id": "celery@worker-1/7d1e",
    "name": "celery@worker-1",
    "alive": True,
    "silentSeconds": 0.4,
    "queues": ["celery"],
    "slots": 4,
    "running": 1,
    "runs": [_UID],
    "kelery": "0.1.0",
    "celery": "5.6.0",
    "started": "2026-11-22T17:00:00Z",
}
_LOCATION = {"Location": {"description": "The path of the run.", "schema": {"type": "string"}}}
_ANY_JSON: Schema = {"description": "Any JSON value."}


def _shows(name: str, *, example: Any, description: str) -> Answer:
    return Answer(description=description, schema=ref(name), example=example)


def _text(description: str, *, status: int = 200) -> Answer:
    return Answer(status=status, description=description, schema={"type": "string"}, media_type="text/plain")


_RUN = _shows("TaskRun", example=_TASK_RUN, description="The run as it stands.")
_OUT = _shows("TaskOut", example=_TASK_OUT, description="The run as it stands, in Celery's words.")
_START_ANSWERS = (_shows("TaskOut", example=_TASK_OUT, description="The run that was started."),)

OPERATIONS: Mapping[str, Operation] = {
    "start_task": Operation(answers=_START_ANSWERS, problems=(Kind.ALREADY_RUNNING,)),
    "post_start_task": Operation(
        answers=_START_ANSWERS,
        body=Body(
            schema=ref("StartRequest"),
            examples={"add": {"task": "demo.add", "args": [1, 2]}, "default": {}},
            required=False,
        ),
        problems=(Kind.ALREADY_RUNNING,),
    ),
    "get_status": Operation(answers=(_OUT,), problems=(Kind.NOT_FOUND,)),
    "cancel_task": Operation(answers=(_OUT,), problems=(Kind.NOT_FOUND,)),
    "post_cancel_task": Operation(
        answers=(_OUT,),
        body=Body(
            schema=ref("StopRequest"),
            examples={"current": {}, "one": {"task_id": _UID}},
            required=False,
        ),
        problems=(Kind.NOT_FOUND,),
    ),
    "create_task_run": Operation(
        answers=(
            Answer(
                status=202,
                description="The run was accepted; with `wait`, as it stood when the wait was over.",
                schema=ref("TaskRun"),
                example=_TASK_RUN,
                headers=_LOCATION,
            ),
        ),
        body=Body(
            schema=ref("TaskRunSubmission"),
            examples={
                "add": {"spec": {"task": "demo.add", "args": [1, 2]}},
                "one at a time": {
                    "name": "report",
                    "spec": {"task": "demo.progress", "concurrency": {"key": "report/7"}},
                },
            },
        ),
        problems=(Kind.NAME_TAKEN, Kind.RUN_DELETED, Kind.IDEMPOTENCY_KEY_REUSED),
    ),
    "list_task_runs": Operation(
        answers=(
            _shows(
                "TaskRunList",
                example={
                    "apiVersion": "kelery.dev/v1alpha1",
                    "kind": "TaskRunList",
                    "metadata": {},
                    "items": [_TASK_RUN],
                },
                description="A page of runs, newest first.",
            ),
        )
    ),
    "get_task_run": Operation(answers=(_RUN,), problems=(Kind.NOT_FOUND,)),
    "get_result": Operation(
        answers=(Answer(description="What the task returned.", schema=_ANY_JSON, example=3),),
        problems=(Kind.NOT_FOUND, Kind.NO_RESULT, Kind.NOT_FINISHED),
    ),
    "watch_task_run": Operation(
        answers=(
            Answer(
                description="Events until the run has ended: phase, progress, and finished with the TaskRun.",
                schema={"type": "string"},
                media_type="text/event-stream",
                item_schema=ref("TaskRunEvent"),
                example='event: phase\nid: 3\ndata: {"phase": "Running", "reason": "Started", "rev": 3}\n\n',
            ),
            Answer(status=204, description="The last event was seen already.", schema=None),
        ),
        problems=(Kind.NOT_FOUND,),
    ),
    "cancel_task_run": Operation(
        answers=(_RUN,),
        body=Body(
            schema=ref("CancelRequest"),
            examples={"graceful": {}, "force": {"mode": "force", "reason": "wrong input"}},
            required=False,
        ),
        problems=(Kind.NOT_FOUND,),
    ),
    "delete_task_run": Operation(
        answers=(Answer(status=204, description="It is not shown any more.", schema=None),),
        problems=(Kind.NOT_FOUND, Kind.NOT_DELETABLE_HERE, Kind.CLUSTER_UNAVAILABLE),
    ),
    "list_keys": Operation(
        answers=(
            _shows(
                "KeyList",
                example={"items": [_KEY], "metadata": {}},
                description="A page of keys, in their order.",
            ),
        )
    ),
    "get_key": Operation(
        answers=(
            _shows(
                "Key",
                example={**_KEY, "holders": [_HOLDER], "waiters": []},
                description="Who holds the key, and who waits.",
            ),
        ),
        # For a path with a line break in it.
        problems=(Kind.NOT_FOUND,),
    ),
    "list_queues": Operation(
        answers=(_shows("QueueList", example={"items": [_QUEUE]}, description="The queues."),)
    ),
    "list_workers": Operation(
        answers=(_shows("WorkerList", example={"items": [_WORKER]}, description="The workers."),)
    ),
    "get_livez": Operation(answers=(_text("It runs."),), needs_ledger=False),
    "get_readyz": Operation(
        answers=(_text("It can serve."), _text("It cannot; the text says why.", status=503)),
        needs_ledger=False,
    ),
    "get_metrics": Operation(answers=(_text("Prometheus's text format."),), needs_ledger=False),
}
