"""The problem documents (RFC 9457) that the gateway responds with, and the table of their kinds.

Invariant: `type` is stable, so clients can rely on it. `title` and `detail` describe the request, never what
happened inside the gateway; that goes to the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Any

from starlette.responses import Response

from kelery import json_codec
from kelery_api import models

MEDIA_TYPE = "application/problem+json"
_TYPE_BASE = "https://kelery.dev/problems/"
_RETRY_SOON = MappingProxyType({"Retry-After": "1"})


class Kind(Enum):
    """A kind of problem: slug, HTTP status, title."""

    INVALID_JSON = ("invalid-json", 400, "The body is not valid JSON")
    BAD_REQUEST = ("bad-request", 400, "The request is malformed")
    UNAUTHENTICATED = ("unauthenticated", 401, "Authentication failed")
    FORBIDDEN = ("forbidden", 403, "Permission denied")
    NOT_FOUND = ("not-found", 404, "Not found")
    NO_RESULT = ("no-result", 404, "The run has no result")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "Method not allowed")
    NOT_ACCEPTABLE = ("not-acceptable", 406, "The requested media type is not available")
    REQUEST_TIMEOUT = ("request-timeout", 408, "The request timed out")
    ALREADY_RUNNING = ("already-running", 409, "Another run of the key has not finished")
    NAME_TAKEN = ("name-taken", 409, "A live run has this name")
    NOT_FINISHED = ("not-finished", 409, "The run has not finished")
    RUN_DELETED = ("run-deleted", 409, "The run was deleted")
    NOT_DELETABLE_HERE = ("not-deletable-here", 409, "The gateway cannot delete this run")
    BODY_TOO_LARGE = ("body-too-large", 413, "The body is too large")
    UNSUPPORTED_MEDIA_TYPE = ("unsupported-media-type", 415, "The body must be sent as JSON")
    HEADERS_TOO_LARGE = ("headers-too-large", 431, "The headers are too large")
    INVALID_INPUT = ("invalid-input", 422, "The request has invalid fields")
    IDEMPOTENCY_KEY_REUSED = ("idempotency-key-reused", 422, "The Idempotency-Key was used with another body")
    INTERNAL_ERROR = ("internal-error", 500, "The gateway failed")
    LEDGER_UNAVAILABLE = ("ledger-unavailable", 503, "The ledger is unavailable")
    CLUSTER_UNAVAILABLE = ("cluster-unavailable", 503, "The API server is unavailable")
    ACCESS_CHECK_UNAVAILABLE = ("access-check-unavailable", 503, "Authorization is unavailable")

    def __init__(self, slug: str, status: int, title: str) -> None:
        self.slug = slug
        self.status = status
        self.title = title

    @property
    def type(self) -> str:
        """The stable URI of this kind."""
        return f"{_TYPE_BASE}{self.slug}"

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of every response of this kind."""
        if self is Kind.UNAUTHENTICATED:
            return {"WWW-Authenticate": "Bearer"}
        return _RETRY_SOON if self.status == 503 else {}


class Problem(Exception):
    """Raised anywhere below a route; becomes the response."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: Sequence[models.FieldProblem] = (),
        headers: Mapping[str, str] = MappingProxyType({}),
        extra: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = {**kind.headers, **headers}
        self.extra = dict(extra)


def body_of(problem: Problem, *, path: str, request_id: str) -> dict[str, Any]:
    """The members of the document. `extra` cannot override the common members."""
    kind = problem.kind
    body: models.Problem = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": problem.detail,
        "instance": path,
        "request_id": request_id,
    }
    if problem.errors:
        body["errors"] = list(problem.errors)
    return {**problem.extra, **body}


def response_of(problem: Problem, *, path: str, request_id: str) -> Response:
    """The response. Its body is ASCII, so encoding cannot fail."""
    return Response(
        json_codec.compact(body_of(problem, path=path, request_id=request_id)),
        status_code=problem.kind.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )
