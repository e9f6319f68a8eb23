"""The OpenAPI document: what FastAPI draws of the routes and their models, and what holds for all of them.

It is made once, when the app is made: problems, ids of requests and security follow from each route's rule,
body and parameters, so that no route says them.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.utils import deep_dict_update
from pydantic import TypeAdapter

from kelery_api import models
from kelery_api.access.guarded_route import GuardedRoute
from kelery_api.http.problems import MEDIA_TYPE, Kind
from kelery_api.openapi.crd_schema import Schema, task_run_schemas
from kelery_api.openapi.declarations import problems
from kelery_api.settings import Auth

_DESCRIPTION = """\
Celery tasks as Kubernetes resources: runs started here and runs started by kubectl are the same runs, \
and exclude each other where their concurrency keys say so.

Errors are `application/problem+json` (RFC 9457). Every answer has an `X-Request-ID`, the request's own \
if it brought one."""
_TAGS = (
    ("quickstart", "For a first curl: one run at a time, in Celery's words."),
    ("taskruns", "Runs of both APIs, as TaskRuns."),
    ("keys", "Who holds a concurrency key, and who waits for it."),
    ("workers and queues", "Queues and workers."),
    ("health", "For kubelet and Prometheus; plain text."),
)
#: The only one whose routes serve without the ledger.
_HEALTH = "health"
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "A Kubernetes token for the audience `kelery`, such as "
    "`kubectl create token <service account> --audience=kelery` makes. RBAC decides what it may.",
}
_REQUEST_ID = "X-Request-ID"
_REQUEST_ID_NOTE = "Names the request in answers and logs: letters, digits, dots, _ and -, at most 128."
_REQUEST_ID_HEADER: Schema = {"description": _REQUEST_ID_NOTE, "schema": {"type": "string"}}
_REQUEST_ID_PARAMETER: Schema = {
    "name": _REQUEST_ID,
    "in": "header",
    "required": False,
    "description": f"{_REQUEST_ID_NOTE} Anything else is replaced.",
    "schema": {"type": "string"},
}
_ACCESS_PROBLEMS = (Kind.UNAUTHENTICATED, Kind.FORBIDDEN, Kind.ACCESS_CHECK_UNAVAILABLE)
_BODY_PROBLEMS = (
    Kind.INVALID_JSON,
    Kind.REQUEST_TIMEOUT,
    Kind.BODY_TOO_LARGE,
    Kind.UNSUPPORTED_MEDIA_TYPE,
    Kind.INVALID_INPUT,
)
#: Not drawn by FastAPI: bodies that routes read themselves, parts of streams, and no plain JSON.
_REFERRED_TO = (
    models.TaskRunSubmission,
    models.CancelRequest,
    models.StartRequest,
    models.StopRequest,
    models.TaskRunEvent,
    models.Problem,
)


def install(app: FastAPI, *, auth: Auth) -> None:
    """Make the document; `app.openapi()` gives it from now on."""
    made = document(app, auth=auth)
    # FastAPI's own way of replacing the document.
    app.openapi = lambda: made  # type: ignore[method-assign]


def operation_id(route: APIRoute) -> str:
    """The endpoint's name: what a generated client calls its method."""
    return route.name


def document(app: FastAPI, *, auth: Auth) -> dict[str, Any]:
    """The document of the app's routes."""
    drawn: dict[str, Any] = get_openapi(
        title="Kelery",
        version=app.version,
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in _TAGS],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    public = _public(app)
    for path in drawn["paths"].values():
        for operation in path.values():
            _complete(operation, auth=auth, is_public=operation["operationId"] in public)
    components = drawn["components"]
    components["schemas"] = _schemas(components["schemas"])
    if auth is Auth.KUBERNETES:
        components["securitySchemes"] = {"bearer": _BEARER}
    return drawn


def _public(app: FastAPI) -> set[str]:
    routes = (context.original_route for context in iter_route_contexts(app.routes))
    return {route.name for route in routes if isinstance(route, GuardedRoute) and route.rule.verb is None}


def _schemas(drawn: dict[str, Schema]) -> dict[str, Schema]:
    _, referred_to = TypeAdapter.json_schemas(
        [(model.__name__, "validation", TypeAdapter[Any](model)) for model in _REFERRED_TO],
        ref_template="#/components/schemas/{model}",
    )
    schemas = {**drawn, **referred_to["$defs"], **task_run_schemas()}
    schemas["Problem"]["properties"]["type"]["enum"] = [kind.type for kind in Kind]
    # FastAPI's own shape of a refusal is not what we answer with.
    return {name: schema for name, schema in schemas.items() if not name.endswith("ValidationError")}


def _complete(operation: dict[str, Any], *, auth: Auth, is_public: bool) -> None:
    asks_access = auth is Auth.KUBERNETES and not is_public
    responses = operation["responses"]
    # FastAPI's own, for requests that it validates; ours is a problem.
    if "422" in responses and MEDIA_TYPE not in responses["422"].get("content", {}):
        del responses["422"]
    kinds = _common_problems(operation, asks_access=asks_access)
    if auth is Auth.NONE:
        kinds.add(Kind.FORBIDDEN)
    deep_dict_update(responses, problems(*kinds))
    for response in responses.values():
        _complete_response(response)
    operation["responses"] = dict(sorted(responses.items()))
    operation["parameters"] = [*operation.get("parameters", ()), _REQUEST_ID_PARAMETER]
    if auth is Auth.KUBERNETES:
        operation["security"] = [{"bearer": []}] if asks_access else []


def _common_problems(operation: dict[str, Any], *, asks_access: bool) -> set[Kind]:
    kinds = {Kind.INTERNAL_ERROR}
    if asks_access:
        kinds.update(_ACCESS_PROBLEMS)
    if _HEALTH not in operation["tags"]:
        kinds.add(Kind.LEDGER_UNAVAILABLE)
    if "requestBody" in operation:
        kinds.update(_BODY_PROBLEMS)
    if "parameters" in operation:
        kinds.add(Kind.INVALID_INPUT)
    return kinds


def _complete_response(response: dict[str, Any]) -> None:
    response["headers"] = {_REQUEST_ID: _REQUEST_ID_HEADER, **response.get("headers", {})}
    problem = response.get("content", {}).get(MEDIA_TYPE)
    if problem is not None:
        examples = problem["examples"] = dict(sorted(problem["examples"].items()))
        response["description"] = "; ".join(example["value"]["title"] for example in examples.values())
