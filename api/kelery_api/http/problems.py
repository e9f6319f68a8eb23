"""Every error that the gateway answers with, as RFC 9457 `application/problem+json`.

One table of kinds: `type` is stable, clients may switch on it. A problem's words are about the request; what
happened inside the gateway is for its log alone.
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
    """What can be wrong: slug, status, title."""

    INVALID_JSON = ("invalid-json", 400, "The body is not JSON")
    BAD_REQUEST = ("bad-request", 400, "The request cannot be understood")
    UNAUTHENTICATED = ("unauthenticated", 401, "It is not known who asks")
    FORBIDDEN = ("forbidden", 403, "Not allowed")
    NOT_FOUND = ("not-found", 404, "There is no such thing")
    NO_RESULT = ("no-result", 404, "The run has no result")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "Not with this method")
    NOT_ACCEPTABLE = ("not-acceptable", 406, "Not in this form")
    REQUEST_TIMEOUT = ("request-timeout", 408, "The request did not come in time")
    ALREADY_RUNNING = ("already-running", 409, "Another run is still running")
    NAME_TAKEN = ("name-taken", 409, "Another run has this name")
    NOT_FINISHED = ("not-finished", 409, "The run has not finished")
    RUN_DELETED = ("run-deleted", 409, "The run was deleted")
    NOT_DELETABLE_HERE = ("not-deletable-here", 409, "The run cannot be deleted here")
    BODY_TOO_LARGE = ("body-too-large", 413, "The body is too large")
    UNSUPPORTED_MEDIA_TYPE = ("unsupported-media-type", 415, "The body is not sent as JSON")
    HEADERS_TOO_LARGE = ("headers-too-large", 431, "The headers are too large")
    INVALID_INPUT = ("invalid-input", 422, "Something in the request cannot be accepted")
    IDEMPOTENCY_KEY_REUSED = ("idempotency-key-reused", 422, "The Idempotency-Key belongs to another request")
    INTERNAL_ERROR = ("internal-error", 500, "The gateway failed")
    LEDGER_UNAVAILABLE = ("ledger-unavailable", 503, "The ledger does not answer")
    CLUSTER_UNAVAILABLE = ("cluster-unavailable", 503, "The API server does not answer")
    ACCESS_CHECK_UNAVAILABLE = ("access-check-unavailable", 503, "Nobody can say who may do this")

    def __init__(self, slug: str, status: int, title: str) -> None:
        self.slug = slug
        self.status = status
        self.title = title

    @property
    def type(self) -> str:
        """The stable URI that names this kind."""
        return f"{_TYPE_BASE}{self.slug}"

    @property
    def headers(self) -> Mapping[str, str]:
        """What every answer of this kind carries."""
        if self is Kind.UNAUTHENTICATED:
            return {"WWW-Authenticate": "Bearer"}
        return _RETRY_SOON if self.status == 503 else {}


class Problem(Exception):
    """Raise it anywhere below a route; the answer is made of it."""

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
    """The members of the answer; the kind's own ones cannot displace the common ones."""
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
    """The answer; its text is ASCII, so nothing in it can fail to be encoded."""
    return Response(
        json_codec.compact(body_of(problem, path=path, request_id=request_id)),
        status_code=problem.kind.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )
