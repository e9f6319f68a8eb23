"""Every JSON document that the gateway takes and gives, once: FastAPI draws the OpenAPI document from these,
and mypy checks the code that makes them.

Invariant: they describe, they do not validate. They are TypedDicts, so what is sent is a plain dict, and no
schema library changes a number or refuses a text on the way. The CRD describes spec and status of a TaskRun.
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
#: `[^\p{Z}\p{Cc}\p{Cf}\p{Co}]+`, in the words that every regular expression library has. Beyond the first
#: plane the characters stand for themselves, as no escape for them is understood everywhere.
TASK_NAME_FORM = (
    r"^[^\u0000-\u0020\u007f-\u00a0\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u1680\u180e"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\ue000-\uf8ff\ufeff\ufff9-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    "\U000e0020-\U000e007f\U000f0000-\U000ffffd\U00100000-\U0010fffd]+$"
)

Count = Annotated[int, Field(ge=0)]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
#: Both are replaced by what `openapi.crd_schema` reads in the CRD.
TaskRunSpec = TypeAliasType("TaskRunSpec", dict[str, Any])
TaskRunStatus = TypeAliasType("TaskRunStatus", dict[str, Any])

_CLOSED = ConfigDict(extra="forbid")
_UID = "0b7d3c52-6b6f-4c43-9a52-0f4f7d7f2a55"


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [fields]})


def _text(*, longest: int, pattern: str | None = None) -> Any:
    """A text of a body; pydantic would compile a `pattern=` with a library of its own."""
    return Field(
        min_length=1, max_length=longest, json_schema_extra={"pattern": pattern} if pattern else None
    )


class TaskRunMetadata(TypedDict):
    """Which run it is."""

    name: str
    namespace: str
    uid: Annotated[str, Field(description="Identifies the run.")]
    creationTimestamp: Moment
    annotations: Annotated[
        dict[str, str],
        Field(description="kelery.dev/origin: the API it came through; kelery.dev/requester: who asked."),
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
    """A run, whichever API it came through."""

    apiVersion: Literal["kelery.dev/v1alpha1"]
    kind: Literal["TaskRun"]
    metadata: TaskRunMetadata
    spec: TaskRunSpec
    status: TaskRunStatus


#: Where a list goes on. Not a class: `continue` is a word of Python.
ListMetadata = TypedDict(
    "ListMetadata",
    {
        "continue": NotRequired[
            Annotated[str, Field(description="Give it as `continue` for the next page; absent on the last.")]
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
        Field(pattern="^[0-9]{1,15}$", description="Give it as Last-Event-ID to go on behind it."),
    ]
    data: Annotated[
        str,
        Field(
            description="phase: phase, reason, attempt, at, rev. progress: current, total, message, rev."
            " finished, the last: the TaskRun.",
            json_schema_extra={"contentMediaType": "application/json"},
        ),
    ]


@with_config(_CLOSED)
class TaskRunSubmission(TypedDict):
    """A run to be made."""

    spec: TaskRunSpec
    name: NotRequired[
        Annotated[
            Annotated[str, _text(longest=LONGEST_NAME, pattern=NAME_FORM)] | None,
            Field(
                description="A name that no live run of the namespace has; absent: the run is named by its"
                " uid."
            ),
        ]
    ]


@with_config(_CLOSED)
class CancelRequest(TypedDict, total=False):
    """How to stop a run."""

    mode: Annotated[
        Literal["graceful", "force"] | None,
        Field(
            description="graceful: SIGTERM, then SIGKILL after its grace period. force: SIGKILL at once.",
            json_schema_extra={"default": "graceful"},
        ),
    ]
    reason: Annotated[
        Annotated[str, _text(longest=LONGEST_CANCEL_REASON)] | None, Field(description="For people.")
    ]


@with_config(_CLOSED)
class StartRequest(TypedDict, total=False):
    """What /start runs."""

    task: Annotated[
        Annotated[str, _text(longest=253, pattern=TASK_NAME_FORM)] | None,
        Field(description="Absent: KELERY_START_TASK."),
    ]
    args: Annotated[
        Annotated[list[Any], Field(max_length=1000)] | None, Field(description="Positional arguments.")
    ]
    kwargs: Annotated[
        Annotated[dict[str, Any], Field(max_length=1000)] | None, Field(description="Keyword arguments.")
    ]
    key: Annotated[
        Annotated[str, _text(longest=253, pattern=KEY_FORM)] | None,
        Field(description="One run of this key at a time; absent: KELERY_START_KEY."),
    ]


@with_config(_CLOSED)
class StopRequest(TypedDict, total=False):
    """Which run /cancel stops."""

    task_id: Annotated[
        Annotated[str, _text(longest=LONGEST_NAME)] | None,
        Field(description="A run's id; absent: the current run of the key."),
    ]
    key: Annotated[
        Annotated[str, _text(longest=LONGEST_NAME)] | None, Field(description="Absent: KELERY_START_KEY.")
    ]


@with_config(_example(id=_UID, status="SUCCESS", result=3))
class TaskOut(TypedDict):
    """A run in Celery's words."""

    id: Annotated[str, Field(description="The run's uid.")]
    status: Annotated[
        Literal["PENDING", "STARTED", "RETRY", "SUCCESS", "FAILURE", "REVOKED"],
        Field(description="The phase in Celery's words."),
    ]
    result: Annotated[Any, Field(description="The return value, or the traceback; null before the end.")]


class KeyHolder(TypedDict):
    """A run that holds a key."""

    uid: str
    name: str
    task: str
    phase: str
    reason: str
    since: Moment


class KeyWaiter(KeyHolder):
    """A run that waits for a key."""

    position: Annotated[Count, Field(description="Who is at 1 gets the key next.")]


class KeySummary(TypedDict):
    """A key that is in use."""

    key: str
    limit: Annotated[
        int | None, Field(description="The smallest limit among the holders; null if nobody holds it.")
    ]
    held: Annotated[Count, Field(description="How many runs hold it.")]
    waiting: Annotated[Count, Field(description="How many runs wait for it.")]


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
    """Who holds a key, and who waits for it."""

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
    queued: Annotated[Count, Field(description="Messages that wait in it.")]
    running: Annotated[Count, Field(description="Kelery's runs from it that run.")]
    workers: Annotated[Count, Field(description="Workers that take from it.")]


class QueueList(TypedDict):
    """The queues."""

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
    name: Annotated[str, Field(description="As Celery calls it.")]
    alive: Annotated[bool, Field(description="Whether it was heard of within the time of a lease.")]
    silentSeconds: Annotated[float, Field(ge=0)]
    queues: list[str]
    slots: Annotated[int | None, Field(description="How many tasks it runs at a time.")]
    running: Count
    runs: Annotated[list[str], Field(description="The uids of the runs that it has.")]
    kelery: Annotated[str, Field(description="Its version of Kelery.")]
    celery: Annotated[str, Field(description="Its version of Celery.")]
    started: str


class WorkerList(TypedDict):
    """The workers."""

    items: list[Worker]


class FieldProblem(TypedDict):
    """What is wrong with one field: at `pointer` in the body, or else with `parameter`."""

    pointer: NotRequired[Annotated[str, Field(description="Where in the body (RFC 6901); empty: all of it.")]]
    parameter: NotRequired[
        Annotated[str, Field(description="Which path, query or header parameter, if it is not the body.")]
    ]
    detail: str


class Problem(TypedDict):
    """RFC 9457."""

    type: Annotated[str, Field(description="Stable: what to switch on.", json_schema_extra={"format": "uri"})]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: Annotated[str, Field(description="What is wrong with this request, and what to do.")]
    instance: Annotated[str, Field(description="The request's path.")]
    request_id: Annotated[str, Field(description="As in X-Request-ID; the gateway's log has it too.")]
    errors: NotRequired[Annotated[list[FieldProblem], Field(description="Every field that is wrong.")]]
    id: NotRequired[Annotated[str, Field(description="Of already-running and name-taken: the other run.")]]
