"""The components of the OpenAPI document: what the gateway takes and answers, each under its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kelery.taskrun.spec import KEY_FORM
from kelery_api.http.problems import Kind
from kelery_api.openapi.crd_schema import Schema, task_run_schemas
from kelery_api.runs import requests

_STRING: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_API_VERSION: Schema = {"type": "string", "const": "kelery.dev/v1alpha1"}


def ref(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def components() -> dict[str, Schema]:
    """All of them."""
    of_crd = task_run_schemas()
    return {
        **of_crd,
        "TaskRun": _task_run(),
        "TaskRunMetadata": _metadata(),
        "TaskRunList": _page(
            "TaskRun", apiVersion=_API_VERSION, kind={"type": "string", "const": "TaskRunList"}
        ),
        "TaskRunEvent": _task_run_event(),
        "TaskRunSubmission": _submission(),
        "CancelRequest": _cancel_request(),
        "StartRequest": _start_request(of_crd["TaskRunSpec"]["properties"]),
        "StopRequest": _stop_request(),
        "TaskOut": _task_out(),
        "ListMetadata": _object(
            {
                "continue": {
                    **_STRING,
                    "description": "Give it as `continue` for the next page; absent on the last.",
                }
            }
        ),
        "KeyHolder": _key_run(),
        "KeyWaiter": _key_run(position={**_COUNT, "description": "Who is at 1 gets the key next."}),
        "Key": _key(holders=_list_of("KeyHolder"), waiters=_list_of("KeyWaiter")),
        "KeySummary": _key(),
        "KeyList": _page("KeySummary"),
        "Queue": _queue(),
        "QueueList": _object({"items": _list_of("Queue")}, required=["items"]),
        "Worker": _worker(),
        "WorkerList": _object({"items": _list_of("Worker")}, required=["items"]),
        "FieldProblem": _field_problem(),
        "Problem": _problem(),
    }


def _object(properties: dict[str, Schema], *, required: list[str] | None = None, **more: Any) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, **more}
    return {**schema, "required": required} if required else schema


def _closed(properties: dict[str, Schema], *, required: list[str] | None = None, **more: Any) -> Schema:
    """Of a body: unknown fields are refused."""
    return _object(properties, required=required, additionalProperties=False, **more)


def _optional(schema: Schema) -> Schema:
    """Of a body: null is read as absent."""
    wider = {**schema, "type": [schema["type"], "null"]}
    return {**wider, "enum": [*schema["enum"], None]} if "enum" in schema else wider


def _list_of(name: str) -> Schema:
    return {"type": "array", "items": ref(name)}


def _page(of: str, **more: Schema) -> Schema:
    properties = {**more, "metadata": ref("ListMetadata"), "items": _list_of(of)}
    return _object(properties, required=list(properties))


def _task_run() -> Schema:
    properties = {
        "apiVersion": _API_VERSION,
        "kind": {"type": "string", "const": "TaskRun"},
        "metadata": ref("TaskRunMetadata"),
        "spec": ref("TaskRunSpec"),
        "status": ref("TaskRunStatus"),
    }
    return _object(
        properties, required=list(properties), description="A run, whichever door it came through."
    )


def _metadata() -> Schema:
    properties = {
        "name": _STRING,
        "namespace": _STRING,
        "uid": {**_STRING, "description": "Identifies the run."},
        "creationTimestamp": _MOMENT,
        "annotations": {
            "type": "object",
            "additionalProperties": _STRING,
            "description": "kelery.dev/origin: the door it came through; kelery.dev/requester: who asked.",
        },
    }
    return _object(properties, required=list(properties))


def _task_run_event() -> Schema:
    properties: dict[str, Schema] = {
        "event": {**_STRING, "enum": ["phase", "progress", "finished"]},
        "id": {
            **_STRING,
            "pattern": "^[0-9]{1,15}$",
            "description": "Give it as Last-Event-ID to go on behind it.",
        },
        "data": {
            **_STRING,
            "contentMediaType": "application/json",
            "description": "phase: phase, reason, attempt, at, rev. progress: current, total, message, rev."
            " finished, the last: the TaskRun.",
        },
    }
    return _object(properties, required=list(properties))


def _submission() -> Schema:
    name = {
        **_STRING,
        "minLength": 1,
        "maxLength": requests.LONGEST_NAME,
        "pattern": requests.NAME_FORM,
        "description": "A name that no live run of the namespace has; absent: the run is named by its uid.",
    }
    return _closed({"spec": ref("TaskRunSpec"), "name": _optional(name)}, required=["spec"])


def _cancel_request() -> Schema:
    mode = {
        **_STRING,
        "enum": ["graceful", "force"],
        "default": "graceful",
        "description": "graceful: SIGTERM, then SIGKILL after its grace period. force: SIGKILL at once.",
    }
    reason = {
        **_STRING,
        "minLength": 1,
        "maxLength": requests.LONGEST_CANCEL_REASON,
        "description": "For people.",
    }
    return _closed({"mode": _optional(mode), "reason": _optional(reason)})


def _stop_request() -> Schema:
    word = {**_STRING, "minLength": 1, "maxLength": requests.LONGEST_NAME}
    return _closed(
        {
            "task_id": {**_optional(word), "description": "A run's id; absent: the current run of the key."},
            "key": {**_optional(word), "description": "Absent: KELERY_START_KEY."},
        }
    )


def _start_request(spec: Mapping[str, Schema]) -> Schema:
    key = {**_STRING, "minLength": 1, "maxLength": 253, "pattern": KEY_FORM}
    return _closed(
        {
            "task": {**_optional(spec["task"]), "description": "Absent: KELERY_START_TASK."},
            "args": spec["args"],
            "kwargs": spec["kwargs"],
            "key": {
                **_optional(key),
                "description": "One run of this key at a time; absent: KELERY_START_KEY.",
            },
        }
    )


def _task_out() -> Schema:
    states = ["PENDING", "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED"]
    properties: dict[str, Schema] = {
        "id": {**_STRING, "description": "The run's uid."},
        "status": {**_STRING, "enum": states, "description": "The phase in Celery's words."},
        "result": {"description": "The return value, or the traceback; null before the end."},
    }
    return _object(properties, required=list(properties))


def _key(**more: Schema) -> Schema:
    properties = {
        "key": _STRING,
        "limit": {
            "type": ["integer", "null"],
            "description": "The smallest limit among the holders; null if nobody holds it.",
        },
        "held": {**_COUNT, "description": "How many runs hold it."},
        "waiting": {**_COUNT, "description": "How many runs wait for it."},
        **more,
    }
    return _object(properties, required=list(properties))


def _key_run(**more: Schema) -> Schema:
    properties = {
        "uid": _STRING,
        "name": _STRING,
        "task": _STRING,
        "phase": _STRING,
        "reason": _STRING,
        **more,
        "since": _MOMENT,
    }
    return _object(properties, required=list(properties))


def _queue() -> Schema:
    properties = {
        "name": _STRING,
        "queued": {**_COUNT, "description": "Messages that wait in it."},
        "running": {**_COUNT, "description": "Kelery's runs from it that run."},
        "workers": {**_COUNT, "description": "Workers that take from it."},
    }
    return _object(properties, required=list(properties))


def _worker() -> Schema:
    texts = {"type": "array", "items": _STRING}
    properties: dict[str, Schema] = {
        "id": _STRING,
        "name": {**_STRING, "description": "As Celery calls it."},
        "alive": {"type": "boolean", "description": "Whether it was heard of within the time of a lease."},
        "silentSeconds": {"type": "number", "minimum": 0},
        "queues": texts,
        "slots": {"type": ["integer", "null"], "description": "How many tasks it runs at a time."},
        "running": _COUNT,
        "runs": {**texts, "description": "The uids of the runs that it has."},
        "kelery": {**_STRING, "description": "Its version of Kelery."},
        "celery": {**_STRING, "description": "Its version of Celery."},
        "started": _STRING,
    }
    return _object(properties, required=list(properties))


def _field_problem() -> Schema:
    properties = {
        "pointer": {**_STRING, "description": "Where in the body (RFC 6901); empty: all of it."},
        "parameter": {
            **_STRING,
            "description": "Which path, query or header parameter, if it is not the body.",
        },
        "detail": _STRING,
    }
    return _object(properties, required=["detail"])


def _problem() -> Schema:
    properties: dict[str, Schema] = {
        "type": {
            **_STRING,
            "format": "uri",
            "enum": [kind.type for kind in Kind],
            "description": "Stable: what to switch on.",
        },
        "title": _STRING,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {**_STRING, "description": "What is wrong with this request, and what to do."},
        "instance": {**_STRING, "description": "The request's path."},
        "request_id": {**_STRING, "description": "As in X-Request-ID; the gateway's log has it too."},
        "errors": {**_list_of("FieldProblem"), "description": "Every field that is wrong."},
        "id": {**_STRING, "description": "Of already-running and name-taken: the other run."},
    }
    required = ["type", "title", "status", "detail", "instance", "request_id"]
    return _object(properties, required=required, description="RFC 9457.")
