"""Maps exceptions to problem documents. This module alone decides what a caller learns of an exception.

Any other exception is an internal error. The response does not show its cause. The log has its type and
frames, but neither its message nor any value, since these can contain arguments of tasks.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from kelery.errors import InvalidInput, LedgerTooOld, LedgerUnavailable, json_pointer
from kelery_api.http.problems import Kind, Problem, response_of
from kelery_api.models import FieldProblem

logger = logging.getLogger("kelery.api")

_KIND_BY_STATUS = {
    400: Kind.BAD_REQUEST,
    401: Kind.UNAUTHENTICATED,
    403: Kind.FORBIDDEN,
    404: Kind.NOT_FOUND,
    405: Kind.METHOD_NOT_ALLOWED,
    406: Kind.NOT_ACCEPTABLE,
    413: Kind.BODY_TOO_LARGE,
    415: Kind.UNSUPPORTED_MEDIA_TYPE,
    422: Kind.INVALID_INPUT,
}


def install(app: FastAPI) -> None:
    """Handle every exception that a route can raise. The middleware handles all others."""
    for kind in (
        Problem,
        HTTPException,
        RequestValidationError,
        InvalidInput,
        LedgerUnavailable,
        LedgerTooOld,
    ):
        app.add_exception_handler(kind, _respond)


def problem_of(error: Exception, *, request: Request) -> Problem:
    """The problem for `error`."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, InvalidInput):
        found = [FieldProblem(pointer=json_pointer(one.path), detail=one.problem) for one in error.problems]
        return Problem(Kind.INVALID_INPUT, str(error), errors=found)
    if isinstance(error, (LedgerUnavailable, LedgerTooOld)):
        return Problem(Kind.LEDGER_UNAVAILABLE, "the ledger (Redis) does not respond; try again")
    if isinstance(error, RequestValidationError):
        return _invalid_parameters(error)
    if isinstance(error, HTTPException):
        return _of_framework(error, request=request)
    log_internal_error(error)
    return internal_error()


def internal_error() -> Problem:
    """The problem for any other exception; it does not show the cause."""
    return Problem(Kind.INTERNAL_ERROR, "the gateway failed; search its log for this request_id")


def log_internal_error(error: BaseException) -> None:
    """Log types and frames of the error and its causes."""
    logger.error(
        "request failed with an internal error", extra={"error": _types(error), "frames": _frames(error)}
    )


async def _respond(request: Request, error: Exception) -> Response:
    problem = problem_of(error, request=request)
    return response_of(
        problem, path=request.url.path, request_id=request.scope.get("state", {}).get("request_id", "")
    )


def _invalid_parameters(error: RequestValidationError) -> Problem:
    found = [_parameter(item) for item in error.errors()]
    return Problem(Kind.INVALID_INPUT, "; ".join(_sentence(one) for one in found[:3]), errors=found)


def _parameter(item: Mapping[str, Any]) -> FieldProblem:
    """pydantic's location begins with path, query, header, cookie or body. Its message contains no value."""
    place, *names = (str(part) for part in item["loc"])
    if place == "body":
        return FieldProblem(pointer="".join(f"/{name}" for name in names), detail=item["msg"])
    # The parameter only, without the index of a repeated one.
    return FieldProblem(parameter=names[0], detail=item["msg"])


def _sentence(found: FieldProblem) -> str:
    return f"{found.get('parameter', found.get('pointer'))}: {found['detail']}"


def _of_framework(error: HTTPException, *, request: Request) -> Problem:
    kind = _KIND_BY_STATUS.get(error.status_code)
    if kind is None:
        kind = Kind.INTERNAL_ERROR if error.status_code >= 500 else Kind.BAD_REQUEST
    if kind is Kind.METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted(_allowed_methods(request)))
        return Problem(kind, f"{request.url.path} supports {allowed}", headers={"Allow": allowed})
    if kind is Kind.NOT_FOUND:
        return Problem(kind, f"the path {request.url.path} does not exist; /openapi.json lists all paths")
    return Problem(kind, HTTPStatus(error.status_code).phrase.lower(), headers=error.headers or {})


def _allowed_methods(request: Request) -> set[str]:
    """The methods of all routes with the most specific template. The framework returns those of one route."""
    probe = {**request.scope, "fastapi": {}}
    matching = [
        route
        for route in _leaves(request.app.router.routes)
        if isinstance(route, Route) and route.matches(probe)[0] is not Match.NONE
    ]
    template = max((route.path for route in matching), key=_literal_length)
    return {method for route in matching if route.path == template for method in route.methods or ()}


def _literal_length(template: str) -> int:
    return len(re.sub(r"{[^}]*}", "", template))


def _leaves(routes: list[BaseRoute]) -> list[BaseRoute]:
    found = []
    for route in routes:
        # An included router is one entry in the list and holds its own routes.
        inner = getattr(route, "original_router", None)
        found += _leaves(inner.routes) if inner is not None else [route]
    return found


def _types(error: BaseException | None) -> str:
    names: list[str] = []
    while error is not None and len(names) < 5:
        names.append(f"{type(error).__module__}.{type(error).__qualname__}")
        error = error.__cause__ or error.__context__
    return " < ".join(names)


def _frames(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-15:]
    return " | ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)
