"""Assembles the OpenAPI document: FastAPI's own, with our schemas, answers, problems and security in it.

It is made once, when the app is made; a route that it cannot describe fails there, and not at a reader's.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from kelery_api.access.guarded_route import GuardedRoute
from kelery_api.http.problems import MEDIA_TYPE, Kind
from kelery_api.openapi import schemas
from kelery_api.openapi.crd_schema import Schema
from kelery_api.openapi.operations import OPERATIONS, Answer, Body, Operation
from kelery_api.settings import Auth

_DESCRIPTION = """\
Celery tasks as Kubernetes resources: runs started here and runs started by kubectl are the same runs, \
and exclude each other where their concurrency keys say so.

Errors are `application/problem+json` (RFC 9457). Every answer has an `X-Request-ID`, the request's own \
if it brought one."""
_TAGS = (
    ("first doors", "For a first curl: one run at a time, in Celery's words."),
    ("taskruns", "Runs of both doors, as TaskRuns."),
    ("keys", "Who holds a concurrency key, and who waits for it."),
    ("fleet", "Queues and workers."),
    ("health", "For kubelet and Prometheus; plain text."),
)
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "A Kubernetes token for the audience `kelery`, such as "
    "`kubectl create token <service account> --audience=kelery` makes. RBAC decides what it may.",
}
_REQUEST_ID_NOTE = "Names the request in answers and logs: letters, digits, dots, _ and -, at most 128."
_REQUEST_ID_SENT: Schema = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "description": f"{_REQUEST_ID_NOTE} Anything else is replaced.",
    "schema": {"type": "string"},
}
_REQUEST_ID = {"X-Request-ID": {"description": _REQUEST_ID_NOTE, "schema": {"type": "string"}}}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}}
_WWW_AUTHENTICATE = {"WWW-Authenticate": {"schema": {"type": "string"}}}
_BODY_PROBLEMS = (
    Kind.INVALID_JSON,
    Kind.REQUEST_TIMEOUT,
    Kind.BODY_TOO_LARGE,
    Kind.UNSUPPORTED_MEDIA_TYPE,
    Kind.INVALID_INPUT,
)
_LISTS_OF_ONE = 1


def install(app: FastAPI, *, auth: Auth) -> None:
    """Make the document; `app.openapi()` gives it from now on."""
    made = document(app, auth=auth)
    # FastAPI's own way of replacing the document.
    app.openapi = lambda: made  # type: ignore[method-assign]


def operation_id(route: APIRoute) -> str:
    """The endpoint's name: what a generated client calls its method."""
    return route.name


def document(app: FastAPI, *, auth: Auth) -> dict[str, Any]:
    """The document; LookupError for a route that `operations` does not know."""
    drawn: dict[str, Any] = get_openapi(
        title="Kelery",
        version=app.version,
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in _TAGS],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    guarded = _guarded(app)
    for path in drawn["paths"].values():
        for described in path.values():
            name = described["operationId"]
            if name not in OPERATIONS:
                raise LookupError(
                    f"the endpoint {name} is not described: add it to kelery_api.openapi.operations"
                )
            _complete(described, OPERATIONS[name], auth=auth, is_public=name not in guarded)
    drawn["components"] = {"schemas": {**_drawn_from_signatures(drawn), **schemas.components()}}
    if auth is Auth.KUBERNETES:
        drawn["components"]["securitySchemes"] = {"bearer": _BEARER}
    return drawn


def _drawn_from_signatures(drawn: dict[str, Any]) -> dict[str, Schema]:
    """Such as enums of parameters; FastAPI's own shape of a refusal is not what we answer with."""
    found = drawn.get("components", {}).get("schemas", {})
    return {name: schema for name, schema in found.items() if not name.endswith("ValidationError")}


def _guarded(app: FastAPI) -> set[str]:
    routes = (context.original_route for context in iter_route_contexts(app.routes))
    return {route.name for route in routes if isinstance(route, GuardedRoute) and route.rule.verb is not None}


def _complete(described: dict[str, Any], operation: Operation, *, auth: Auth, is_public: bool) -> None:
    own = [_without_null(parameter) for parameter in described.get("parameters", ())]
    described["parameters"] = [*own, _REQUEST_ID_SENT]
    if operation.body is not None:
        described["requestBody"] = _body(operation.body)
    asks_access = auth is Auth.KUBERNETES and not is_public
    kinds = {*operation.problems, *_common(operation, asks_access=asks_access, has_parameters=bool(own))}
    if auth is Auth.NONE:
        kinds.add(Kind.FORBIDDEN)
    described["responses"] = _responses(operation.answers, kinds)
    if auth is Auth.KUBERNETES:
        described["security"] = [{"bearer": []}] if asks_access else []


def _common(operation: Operation, *, asks_access: bool, has_parameters: bool) -> set[Kind]:
    kinds = {Kind.INTERNAL_ERROR}
    if asks_access:
        kinds |= {Kind.UNAUTHENTICATED, Kind.FORBIDDEN, Kind.ACCESS_CHECK_UNAVAILABLE}
    if operation.needs_ledger:
        kinds.add(Kind.LEDGER_UNAVAILABLE)
    if operation.body is not None:
        kinds.update(_BODY_PROBLEMS)
    if has_parameters:
        kinds.add(Kind.INVALID_INPUT)
    return kinds


def _without_null(parameter: dict[str, Any]) -> dict[str, Any]:
    """An absent parameter is left out: there is no way to write null into a URL or a header."""
    schema = parameter["schema"]
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != _LISTS_OF_ONE:
        return parameter
    rest = {word: value for word, value in schema.items() if word != "anyOf"}
    return {**parameter, "schema": {**kinds[0], **rest}}


def _body(body: Body) -> dict[str, Any]:
    examples = {name: {"value": value} for name, value in body.examples.items()}
    return {
        "required": body.required,
        "content": {"application/json": {"schema": body.schema, "examples": examples}},
    }


def _responses(answers: tuple[Answer, ...], kinds: set[Kind]) -> dict[str, Any]:
    responses = {str(answer.status): _answer(answer) for answer in answers}
    for status in sorted({kind.status for kind in kinds}):
        of_status = sorted((kind for kind in kinds if kind.status == status), key=lambda kind: kind.slug)
        told = _problem(of_status)
        known = responses.get(str(status))
        # Only /readyz answers one status in two ways.
        if known is not None:
            known["content"].update(told["content"])
        else:
            responses[str(status)] = told
    return responses


def _answer(answer: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {"description": answer.description, "headers": {**_REQUEST_ID, **answer.headers}}
    if answer.schema is not None:
        content: dict[str, Any] = {"schema": answer.schema}
        if answer.example is not None:
            content["example"] = answer.example
        if answer.item_schema is not None:
            # A word of OpenAPI 3.2, which readers of 3.1 pass over.
            content["itemSchema"] = answer.item_schema
        told["content"] = {answer.media_type: content}
    return told


def _problem(kinds: list[Kind]) -> dict[str, Any]:
    headers: dict[str, Any] = dict(_REQUEST_ID)
    if any("Retry-After" in kind.headers for kind in kinds):
        headers |= _RETRY_AFTER
    if Kind.UNAUTHENTICATED in kinds:
        headers |= _WWW_AUTHENTICATE
    return {
        "description": "; ".join(kind.title for kind in kinds),
        "headers": headers,
        "content": {
            MEDIA_TYPE: {
                "schema": schemas.ref("Problem"),
                "examples": {kind.slug: {"value": _example(kind)} for kind in kinds},
            }
        },
    }


def _example(kind: Kind) -> dict[str, Any]:
    example: dict[str, Any] = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": "what is wrong with this request, and what to do",
        "instance": "/v1/namespaces/default/taskruns",
        "request_id": "3f0c",
    }
    if kind is Kind.INVALID_INPUT:
        example["errors"] = [
            {"pointer": "/spec/concurrency/limit", "detail": "0 is out of range; give 1 to 1000"}
        ]
    return example
