"""`/start`, `/status` and `/cancel`: a quick start with curl. One run of a key at a time; no lock is left
over.

They work in the configured namespace and, by default, on the configured key. They respond with Celery's
states.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from kelery.errors import InvalidInput
from kelery.ledger.types import OnlyIf
from kelery.run.model import CancelMode, Record, RunSpec
from kelery.taskrun.spec import KEY_FORM
from kelery_api import models
from kelery_api.access.guarded_route import GuardedRoute
from kelery_api.access.rules import needs
from kelery_api.gateway import Gateway, gateway_of
from kelery_api.http.json_body import parse, read_json
from kelery_api.http.problems import Kind, Problem
from kelery_api.http.responses import json_text_response
from kelery_api.openapi.declarations import json_body, problems
from kelery_api.routes import parameters
from kelery_api.routes.authorized_submission import permitted_submission
from kelery_api.routes.parameters import OptionalText, refused
from kelery_api.runs import rendering, requests

router = APIRouter(tags=["quickstart"], route_class=GuardedRoute)

_STARTED: dict[str, Any] = {
    "response_model": models.TaskOut,
    "response_description": "The new run.",
    "responses": problems(Kind.ALREADY_RUNNING),
}
_SHOWN: dict[str, Any] = {
    "response_model": models.TaskOut,
    "response_description": "The current state of the run.",
    "responses": problems(Kind.NOT_FOUND),
}
_JSON_PARAMETERS = ("args", "kwargs")

_NAME = {"minLength": 1, "maxLength": 253}

Task = Annotated[
    OptionalText,
    Query(
        description="The task's registered name. Default: KELERY_START_TASK.",
        json_schema_extra={**_NAME, "pattern": models.TASK_NAME_FORM},
    ),
]
Args = Annotated[
    OptionalText, Query(description="Positional arguments as a JSON array.", examples=["[1, 2]"])
]
Kwargs = Annotated[
    OptionalText, Query(description="Keyword arguments as a JSON object.", examples=['{"x": 1}'])
]
Key = Annotated[
    OptionalText,
    Query(
        description="Concurrency key: one run at a time. Default: KELERY_START_KEY.",
        json_schema_extra={**_NAME, "pattern": KEY_FORM},
    ),
]
KeyOfRun = Annotated[OptionalText, Query(description="A concurrency key. Default: KELERY_START_KEY.")]
TaskId = Annotated[
    OptionalText,
    Query(description="The uid or name of a run. Default: the current or last run of the key."),
]


@router.get("/start", **_STARTED)
@needs("create")
async def start_task(
    request: Request, task: Task = None, args: Args = None, kwargs: Kwargs = None, key: Key = None
) -> Response:
    """Start a task. If an earlier run of the key has not finished, the response is 409 with its `id`."""
    given = _query_fields(task=task, args=args, kwargs=kwargs, key=key)
    return await _start(request, _spec_of_url(request, given))


@router.post(
    "/start",
    **_STARTED,
    openapi_extra=json_body(
        models.StartRequest,
        examples={"add": {"task": "demo.add", "args": [1, 2]}, "default": {}},
        required=False,
    ),
)
@needs("create")
async def post_start_task(
    request: Request, task: Task = None, args: Args = None, kwargs: Kwargs = None, key: Key = None
) -> Response:
    """Start a task. If an earlier run of the key has not finished, the response is 409 with its `id`. The
    body overrides the URL.
    """
    given = _query_fields(task=task, args=args, kwargs=kwargs, key=key)
    body = await read_json(request, optional=True)
    # Validated even if the body overrides it, because an invalid URL is a mistake.
    spec = _spec_of_url(request, given)
    if body is not None:
        spec = _spec(request, {**given, **body} if isinstance(body, Mapping) else body)
    return await _start(request, spec)


@router.get("/status", **_SHOWN)
@needs("get")
async def get_status(request: Request, task_id: TaskId = None, key: KeyOfRun = None) -> Response:
    """Get a run by its id, or the current or last run of the key."""
    gateway = gateway_of(request)
    return await _shown(gateway, await _meant(gateway, task_id, key=key))


@router.get("/cancel", **_SHOWN)
@needs("patch")
async def cancel_task(request: Request, task_id: TaskId = None, key: KeyOfRun = None) -> Response:
    """Cancel a run by its id, or the current run of the key, gracefully. A finished run does not change."""
    return await _cancel(request, task_id, key=key)


@router.post(
    "/cancel",
    **_SHOWN,
    openapi_extra=json_body(
        models.StopRequest,
        examples={"current": {}, "one": {"task_id": "0b7d3c52-6b6f-4c43-9a52-0f4f7d7f2a55"}},
        required=False,
    ),
)
@needs("patch")
async def post_cancel_task(request: Request, task_id: TaskId = None, key: KeyOfRun = None) -> Response:
    """Cancel a run by its id, or the current run of the key, gracefully. A finished run does not change. The
    body overrides the URL.
    """
    wanted = requests.quickstart_cancel(await read_json(request, optional=True))
    return await _cancel(request, wanted.task_id or task_id, key=wanted.key or key)


def _spec_of_url(request: Request, given: Mapping[str, Any]) -> RunSpec:
    try:
        return _spec(request, given)
    except InvalidInput as error:
        raise parameters.refused_all(error) from None


def _spec(request: Request, given: Any) -> RunSpec:
    settings = gateway_of(request).settings
    return requests.quickstart_request(given, task=settings.start_task, key=settings.start_key)


async def _start(request: Request, spec: RunSpec) -> Response:
    gateway = gateway_of(request)
    submission = await permitted_submission(request, spec, namespace=gateway.settings.namespace)
    return await _shown(gateway, await gateway.runs.submit(submission, OnlyIf.ROOM))


async def _cancel(request: Request, task_id: str | None, *, key: str | None) -> Response:
    gateway = gateway_of(request)
    if task_id is not None:
        record = await gateway.runs.find(gateway.settings.namespace, task_id, also_ending=True)
    else:
        record = await _meant(gateway, None, key=key)
    return await _shown(gateway, await gateway.runs.cancel(record, mode=CancelMode.GRACEFUL, message=""))


async def _meant(gateway: Gateway, task_id: str | None, *, key: str | None) -> Record:
    namespace = gateway.settings.namespace
    if task_id is not None:
        return await gateway.runs.find(namespace, task_id)
    return await gateway.runs.find_latest(namespace, key or gateway.settings.start_key)


async def _shown(gateway: Gateway, record: Record) -> Response:
    return json_text_response(rendering.task_out(record, result_json=await gateway.runs.whole_result(record)))


def _query_fields(**parameters: str | None) -> dict[str, Any]:
    return {
        name: _json(name, text) if name in _JSON_PARAMETERS else text
        for name, text in parameters.items()
        if text is not None
    }


def _json(name: str, text: str) -> Any:
    try:
        return parse(text.encode())
    except Problem as problem:
        example = "[1, 2]" if name == "args" else '{"x": 1}'
        raise refused(
            name, f"is not valid JSON: {problem}; send for example {name}={example}, URL-encoded"
        ) from None
