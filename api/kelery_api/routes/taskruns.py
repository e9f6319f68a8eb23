"""`/v1/namespaces/{namespace}/taskruns`: the runs of both APIs, as TaskRuns."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic.json_schema import SkipJsonSchema

from kelery.ledger.types import OnlyIf
from kelery.run.phases import Phase
from kelery_api import models
from kelery_api.access.guarded_route import GuardedRoute
from kelery_api.access.rules import needs
from kelery_api.gateway import gateway_of
from kelery_api.http.disconnect import while_client_waits
from kelery_api.http.json_body import read_json
from kelery_api.http.problems import Kind, Problem
from kelery_api.http.responses import json_response, json_text_response
from kelery_api.openapi.declarations import json_body, problems, ref
from kelery_api.routes import parameters
from kelery_api.routes.authorized_submission import permitted_submission
from kelery_api.routes.parameters import (
    Continue,
    IdempotencyKey,
    LastEventId,
    Namespace,
    OptionalText,
    PageSize,
    RunId,
    Since,
    Wait,
)
from kelery_api.runs import listing, rendering, requests
from kelery_api.streams import event_stream

router = APIRouter(prefix="/v1/namespaces/{namespace}/taskruns", tags=["taskruns"], route_class=GuardedRoute)

_SHOWN: dict[str, Any] = {
    "response_model": models.TaskRun,
    "response_description": "The current state of the run.",
    "responses": problems(Kind.NOT_FOUND),
}
_EVENTS = {
    "schema": {"type": "string"},
    # A keyword of OpenAPI 3.2, which readers of 3.1 ignore.
    "itemSchema": ref(models.TaskRunEvent),
    "example": 'event: phase\nid: 3\ndata: {"phase": "Running", "reason": "Started", "rev": 3}\n\n',
}


@router.post(
    "",
    status_code=202,
    response_model=models.TaskRun,
    response_description="The accepted run. With `wait`, its state at the end of the wait.",
    responses={
        202: {"headers": {"Location": {"description": "The path of the run.", "schema": {"type": "string"}}}},
        **problems(Kind.NAME_TAKEN, Kind.RUN_DELETED, Kind.IDEMPOTENCY_KEY_REUSED),
    },
    openapi_extra=json_body(
        models.TaskRunSubmission,
        examples={
            "add": {"spec": {"task": "demo.add", "args": [1, 2]}},
            "one at a time": {
                "name": "report",
                "spec": {"task": "demo.progress", "concurrency": {"key": "report/7"}},
            },
        },
    ),
)
@needs("create")
async def create_task_run(
    request: Request, namespace: Namespace, wait: Wait = None, idempotency_key: IdempotencyKey = None
) -> Response:
    """Create a run. The response comes when the run is accepted, or, with `wait`, when it has finished."""
    seconds = parameters.wait_seconds(wait)
    key = parameters.idempotency_key(idempotency_key)
    wanted = requests.run_request(await read_json(request))
    submission = await permitted_submission(
        request, wanted.spec, namespace=namespace, name=wanted.name, idempotency_key=key
    )
    conditions = [OnlyIf.FREE_NAME] if wanted.name else []
    submitting = gateway_of(request).runs.submit_and_wait(submission, *conditions, seconds=seconds)
    record = await (while_client_waits(request, submitting) if seconds else submitting)
    location = f"/v1/namespaces/{namespace}/taskruns/{record.uid}"
    return json_response(rendering.task_run(record), status=202, headers={"Location": location})


@router.get("", response_model=models.TaskRunList, response_description="A page of runs, newest first.")
@needs("list")
async def list_task_runs(
    request: Request,
    namespace: Namespace,
    phase: Annotated[
        list[Phase] | SkipJsonSchema[None], Query(description="Only runs in one of these phases.")
    ] = None,
    task: Annotated[OptionalText, Query(description="Only runs of this task.", min_length=1)] = None,
    key: Annotated[
        OptionalText, Query(description="Only runs with this concurrency key.", min_length=1)
    ] = None,
    since: Since = None,
    page_size: PageSize = 100,
    next_page: Continue = None,
) -> Response:
    """List the runs of a namespace, newest first. A page can be short or empty and still have a next page."""
    wanted = listing.Filter(
        phases=frozenset(phase or ()),
        task=task or "",
        key=key or "",
        since=parameters.since_microseconds(since),
    )
    records, behind = await listing.page(
        gateway_of(request).ledger,
        namespace,
        wanted=wanted,
        limit=page_size,
        after=parameters.cursor(next_page),
    )
    return json_response(rendering.task_run_list(records, next_page=behind.encode() if behind else ""))


@router.get("/{id}", **_SHOWN)
@needs("get")
async def get_task_run(request: Request, namespace: Namespace, run_id: RunId, wait: Wait = None) -> Response:
    """Get a run by uid or name. With `wait`, the response comes when the run has finished."""
    runs, seconds = gateway_of(request).runs, parameters.wait_seconds(wait)
    record = await runs.find(namespace, run_id)
    if seconds:
        record = await while_client_waits(request, runs.wait(record, seconds=seconds))
    return json_response(rendering.task_run(record))


@router.get(
    "/{id}/result",
    response_description="The return value: any JSON value.",
    responses=problems(Kind.NOT_FOUND, Kind.NO_RESULT, Kind.NOT_FINISHED),
)
@needs("get")
async def get_result(request: Request, namespace: Namespace, run_id: RunId) -> Response:
    """Get the complete return value of the task, even if the status truncates it."""
    runs = gateway_of(request).runs
    record = await runs.find(namespace, run_id)
    if not record.phase.is_final:
        raise Problem(
            Kind.NOT_FINISHED,
            f"the run has the phase {record.phase.value} and no result yet; try again when it has finished",
        )
    text = await runs.whole_result(record)
    if text is None:
        raise Problem(
            Kind.NO_RESULT, f"the run ended as {record.phase.value}/{record.reason}, so it has no result"
        )
    return json_text_response(text)


@router.get(
    "/{id}/events",
    response_class=Response,
    response_description="Events until the run has finished: phase, progress, and finished with the TaskRun.",
    responses={
        200: {"content": {event_stream.MEDIA_TYPE: _EVENTS}},
        204: {"description": "The client already has the last event."},
        **problems(Kind.NOT_FOUND),
    },
)
@needs("watch")
async def watch_task_run(
    request: Request, namespace: Namespace, run_id: RunId, last_event_id: LastEventId = None
) -> Response:
    """Stream the run's changes as server-sent events until it has finished. It resumes without gaps."""
    gateway = gateway_of(request)
    return await event_stream.events(
        record=await gateway.runs.find(namespace, run_id),
        last_event_id=last_event_id,
        ledger=gateway.ledger,
        follower=gateway.follower,
        render=rendering.task_run,
    )


@router.post(
    "/{id}:cancel",
    **_SHOWN,
    openapi_extra=json_body(
        models.CancelRequest,
        examples={"graceful": {}, "force": {"mode": "force", "reason": "wrong input"}},
        required=False,
    ),
)
@needs("patch")
async def cancel_task_run(request: Request, namespace: Namespace, run_id: RunId) -> Response:
    """Cancel a run: at once if it waits, else gracefully or by force. A finished run does not change."""
    wanted = requests.cancel_request(await read_json(request, optional=True))
    runs = gateway_of(request).runs
    record = await runs.find(namespace, run_id, also_ending=True)
    record = await runs.cancel(record, mode=wanted.mode, message=wanted.reason)
    return json_response(rendering.task_run(record))


@router.delete(
    "/{id}",
    status_code=204,
    response_description="The run is deleted.",
    responses=problems(Kind.NOT_FOUND, Kind.NOT_DELETABLE_HERE, Kind.CLUSTER_UNAVAILABLE),
)
@needs("delete")
async def delete_task_run(request: Request, namespace: Namespace, run_id: RunId) -> Response:
    """Cancel a run if it is live, and delete it. If it has a TaskRun in the cluster, delete that too."""
    runs = gateway_of(request).runs
    await runs.delete(await runs.find(namespace, run_id))
    return Response(status_code=204)
