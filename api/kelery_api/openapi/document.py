"""The OpenAPI document: FastAPI's document of the routes and models, plus what is common to all routes.

It is created once, with the app. Problems, request IDs and security are derived from each route's rule, body
and parameters, so no route declares them.
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
Runs Celery tasks as Kubernetes resources. This API shows the runs of both APIs, REST and kubectl. \
A concurrency key limits how many runs execute at once, no matter which API created them.

Errors are problem documents (`application/problem+json`, RFC 9457). Every response has an `X-Request-ID`: \
the one of the request, or a new one."""
_TAGS = (
    (
        "quickstart",
        "Three endpoints that need no body, for a first try: one run at a time, with Celery's states.",
    ),
    ("taskruns", "Runs of both APIs, as TaskRuns."),
    ("keys", "Concurrency keys with their holders and waiters."),
    ("workers and queues", "Celery queues and workers."),
    ("health", "Health and metrics as plain text, for kubelet and Prometheus."),
)
#: The only tag whose routes work without the ledger.
_HEALTH = "health"
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "A Kubernetes token for the audience `kelery`. Create one with "
    "`kubectl create token <service account> --audience=kelery`. RBAC defines its permissions.",
}
_REQUEST_ID = "X-Request-ID"
_REQUEST_ID_NOTE = (
    "Identifies the request in responses and logs. At most 128 letters, digits, `.`, `_` and `-`."
)
_REQUEST_ID_HEADER: Schema = {"description": _REQUEST_ID_NOTE, "schema": {"type": "string"}}
_REQUEST_ID_PARAMETER: Schema = {
    "name": _REQUEST_ID,
    "in": "header",
    "required": False,
    "description": f"{_REQUEST_ID_NOTE} Other values are replaced.",
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
#: Models that FastAPI does not find: bodies that routes read themselves, stream events, and problems.
_REFERRED_TO = (
    models.TaskRunSubmission,
    models.CancelRequest,
    models.StartRequest,
    models.StopRequest,
    models.TaskRunEvent,
    models.Problem,
)


def install(app: FastAPI, *, auth: Auth) -> None:
    """Create the document, which `app.openapi()` then returns."""
    made = document(app, auth=auth)
    # FastAPI's documented way to replace the document.
    app.openapi = lambda: made  # type: ignore[method-assign]


def operation_id(route: APIRoute) -> str:
    """The endpoint's name, which generated clients use as the method name."""
    return route.name


def document(app: FastAPI, *, auth: Auth) -> dict[str, Any]:
    """The OpenAPI document of the app's routes."""
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
    # FastAPI's own error models are not used.
    return {name: schema for name, schema in schemas.items() if not name.endswith("ValidationError")}


def _complete(operation: dict[str, Any], *, auth: Auth, is_public: bool) -> None:
    asks_access = auth is Auth.KUBERNETES and not is_public
    responses = operation["responses"]
    # FastAPI adds its own 422 to routes that it validates; Kelery responds with a problem.
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
