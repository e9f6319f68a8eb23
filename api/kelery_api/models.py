"""The JSON documents of the gateway's requests and responses. FastAPI generates the OpenAPI document from
them, and mypy checks the code that creates them.

Invariant: they describe and do not validate. They are TypedDicts, so a response is a plain dict, and no
schema library changes a number or rejects a text. The CRD describes spec and status of a TaskRun.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config

# pydantic needs these on Python 3.11.
from typing_extensions import TypeAliasType, TypedDict

from kelery.taskrun.spec import KEY_FORM

NAME_FORM = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
LONGEST_NAME = 253
LONGEST_CANCEL_REASON = 256
#: `[^\p{Z}\p{Cc}\p{Cf}\p{Co}]+`, in the syntax that every regular expression library supports. Characters
#: beyond the first plane are literal, because no escape for them works everywhere.
TASK_NAME_FORM = (
    r"^[^\u0000-\u0020\u007f-\u00a0\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u1680\u180e"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\ue000-\uf8ff\ufeff\ufff9-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    "\U000e0020-\U000e007f\U000f0000-\U000ffffd\U00100000-\U0010fffd]+$"
)

Count = Annotated[int, Field(ge=0)]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
#: `openapi.crd_schema` replaces both by the schemas of the CRD.
TaskRunSpec = TypeAliasType("TaskRunSpec", dict[str, Any])
TaskRunStatus = TypeAliasType("TaskRunStatus", dict[str, Any])

_CLOSED = ConfigDict(extra="forbid")
_UID = "0b7d3c52-6b6f-4c43-9a52-0f4f7d7f2a55"


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


def _text(*, longest: int, pattern: str | None = None) -> Any:
    """A text in a body. The pattern is only documented: pydantic would compile it with its own library."""
    return Field(
        min_length=1, max_length=longest, json_schema_extra={"pattern": pattern} if pattern else None
    )


class TaskRunMetadata(TypedDict):
    """The identity of a run."""

    name: str
    namespace: str
    uid: Annotated[str, Field(description="The unique ID of the run.")]
    creationTimestamp: Moment
    annotations: Annotated[
        dict[str, str],
        Field(
            description="kelery.dev/origin: the API that created the run. kelery.dev/requester: the user who"
            " created it."
        ),
    ]


@with_config(
    _example(
        apiVersion="kelery.dev/v1alpha1",
        kind="TaskRun",
        metadata={
            "name": "report",
            "namespace": "default",
            "uid": _UID,
            "creationTimestamp": "2026-11-22T18:00:00Z",
            "annotations": {"kelery.dev/origin": "REST"},
        },
        spec={"task": "demo.add", "args": [1, 2]},
        status={
            "phase": "Succeeded",
            "reason": "Completed",
            "attempt": 1,
            "result": {"value": 3, "truncated": False},
        },
    )
)
class TaskRun(TypedDict):
    """A run, no matter which API created it."""

    apiVersion: Literal["kelery.dev/v1alpha1"]
    kind: Literal["TaskRun"]
    metadata: TaskRunMetadata
    spec: TaskRunSpec
    status: TaskRunStatus


#: The next page of a list. Not a class, because `continue` is a Python keyword.
ListMetadata = TypedDict(
    "ListMetadata",
    {
        "continue": NotRequired[
            Annotated[
                str,
                Field(description="Pass it as `continue` to get the next page. Absent on the last page."),
            ]
        ]
    },
)


class TaskRunList(TypedDict):
    """A page of runs."""

    apiVersion: Literal["kelery.dev/v1alpha1"]
    kind: Literal["TaskRunList"]
    metadata: ListMetadata
    items: list[TaskRun]


class TaskRunEvent(TypedDict):
    """One server-sent event."""

    event: Literal["phase", "progress", "finished"]
    id: Annotated[
        str,
        Field(pattern="^[0-9]{1,15}$", description="Send it as Last-Event-ID to resume after this event."),
    ]
    data: Annotated[
        str,
        Field(
            description="The fields of a phase event: phase, reason, attempt, at, rev. Of a progress event:"
            " current, total, message, rev. The finished event is the last one and has the TaskRun.",
            json_schema_extra={"contentMediaType": "application/json"},
        ),
    ]


@with_config(_CLOSED)
class TaskRunSubmission(TypedDict):
    """A run to create."""

    spec: TaskRunSpec
    name: NotRequired[
        Annotated[
            Annotated[str, _text(longest=LONGEST_NAME, pattern=NAME_FORM)] | None,
            Field(
                description="The name of the run. No live run of the namespace can have the same name."
                " Default: the uid."
            ),
        ]
    ]


@with_config(_CLOSED)
class CancelRequest(TypedDict, total=False):
    """How to cancel a run."""

    mode: Annotated[
        Literal["graceful", "force"] | None,
        Field(
            description="graceful: SIGTERM, then SIGKILL after the grace period. force: SIGKILL at once.",
            json_schema_extra={"default": "graceful"},
        ),
    ]
    reason: Annotated[
        Annotated[str, _text(longest=LONGEST_CANCEL_REASON)] | None,
        Field(description="Free text. The run's status shows it."),
    ]


@with_config(_CLOSED)
class StartRequest(TypedDict, total=False):
    """The task that /start runs."""

    task: Annotated[
        Annotated[str, _text(longest=253, pattern=TASK_NAME_FORM)] | None,
        Field(description="The task's registered name. Default: KELERY_START_TASK."),
    ]
    args: Annotated[
        Annotated[list[Any], Field(max_length=1000)] | None, Field(description="Positional arguments.")
    ]
    kwargs: Annotated[
        Annotated[dict[str, Any], Field(max_length=1000)] | None, Field(description="Keyword arguments.")
    ]
    key: Annotated[
        Annotated[str, _text(longest=253, pattern=KEY_FORM)] | None,
        Field(description="Concurrency key: one run at a time. Default: KELERY_START_KEY."),
    ]


@with_config(_CLOSED)
class StopRequest(TypedDict, total=False):
    """The run that /cancel cancels."""

    task_id: Annotated[
        Annotated[str, _text(longest=LONGEST_NAME)] | None,
        Field(description="The uid or name of a run. Default: the current run of the key."),
    ]
    key: Annotated[
        Annotated[str, _text(longest=LONGEST_NAME)] | None,
        Field(description="A concurrency key. Default: KELERY_START_KEY."),
    ]


@with_config(_example(id=_UID, status="SUCCESS", result=3))
class TaskOut(TypedDict):
    """A run with Celery's names of states."""

    id: Annotated[str, Field(description="The run's uid.")]
    status: Annotated[
        Literal["PENDING", "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED"],
        Field(description="The phase as a Celery state."),
    ]
    result: Annotated[
        Any, Field(description="The return value, or the traceback. Null until the run has finished.")
    ]


class KeyHolder(TypedDict):
    """A run that holds a slot of a key."""

    uid: str
    name: str
    task: str
    phase: str
    reason: str
    since: Moment


class KeyWaiter(KeyHolder):
    """A run that waits for a slot of a key."""

    position: Annotated[Count, Field(description="Position 1 is admitted next.")]


class KeySummary(TypedDict):
    """A concurrency key that is in use."""

    key: str
    limit: Annotated[
        int | None, Field(description="The smallest limit among the holders. Null if there are none.")
    ]
    held: Annotated[Count, Field(description="Number of runs that hold a slot.")]
    waiting: Annotated[Count, Field(description="Number of runs that wait for a slot.")]


@with_config(
    _example(
        key="report/7",
        limit=1,
        held=1,
        waiting=0,
        holders=[
            {
                "uid": _UID,
                "name": "report",
                "task": "demo.add",
                "phase": "Running",
                "reason": "Started",
                "since": "2026-11-22T18:00:00.000000Z",
            }
        ],
        waiters=[],
    )
)
class Key(KeySummary):
    """A concurrency key with its holders and waiters."""

    holders: list[KeyHolder]
    waiters: list[KeyWaiter]


@with_config(_example(items=[{"key": "report/7", "limit": 1, "held": 1, "waiting": 0}], metadata={}))
class KeyList(TypedDict):
    """A page of keys."""

    metadata: ListMetadata
    items: list[KeySummary]


@with_config(_example(name="celery", queued=0, running=1, workers=1))
class Queue(TypedDict):
    """A Celery queue."""

    name: str
    queued: Annotated[Count, Field(description="Messages waiting in the queue.")]
    running: Annotated[Count, Field(description="Kelery runs of the queue that workers have claimed.")]
    workers: Annotated[Count, Field(description="Workers that consume from the queue.")]


class QueueList(TypedDict):
    """All queues."""

    items: list[Queue]


@with_config(
    _example(
        id="celery@worker-1/7d1e",
        name="celery@worker-1",
        alive=True,
        silentSeconds=0.4,
        queues=["celery"],
        slots=4,
        running=1,
        runs=[_UID],
        kelery="0.1.0",
        celery="5.6.0",
        started="2026-11-22T17:00:00Z",
    )
)
class Worker(TypedDict):
    """A worker with Kelery's plug-in."""

    id: str
    name: Annotated[str, Field(description="The worker's name in Celery.")]
    alive: Annotated[bool, Field(description="Whether it reported within the lease time.")]
    silentSeconds: Annotated[float, Field(ge=0, description="Seconds since its last report.")]
    queues: list[str]
    slots: Annotated[int | None, Field(description="Number of tasks that it runs at a time.")]
    running: Annotated[Count, Field(description="Number of runs that it has claimed.")]
    runs: Annotated[list[str], Field(description="The uids of the runs that it has claimed.")]
    kelery: Annotated[str, Field(description="The version of Kelery.")]
    celery: Annotated[str, Field(description="The version of Celery.")]
    started: str


class WorkerList(TypedDict):
    """All workers."""

    items: list[Worker]


class FieldProblem(TypedDict):
    """An invalid field: at `pointer` in the body, or the parameter `parameter`."""

    pointer: NotRequired[
        Annotated[str, Field(description="JSON pointer (RFC 6901) into the body. Empty: the whole body.")]
    ]
    parameter: NotRequired[
        Annotated[str, Field(description="Name of the invalid path, query or header parameter.")]
    ]
    detail: str


class Problem(TypedDict):
    """A problem document (RFC 9457)."""

    type: Annotated[
        str,
        Field(
            description="The kind of problem. It is stable; use it to distinguish errors.",
            json_schema_extra={"format": "uri"},
        ),
    ]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: Annotated[str, Field(description="What is wrong with this request, and how to fix it.")]
    instance: Annotated[str, Field(description="The request's path.")]
    request_id: Annotated[str, Field(description="The X-Request-ID, which is also in the gateway's log.")]
    errors: NotRequired[Annotated[list[FieldProblem], Field(description="All invalid fields.")]]
    id: NotRequired[
        Annotated[str, Field(description="For already-running and name-taken: the uid of the other run.")]
    ]
