"""Rejects unknown parameters, and bodies that no route reads.

If a misspelt parameter were ignored, the request would succeed and do something else than the caller meant.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import Request

from kelery_api.http.problems import Kind, Problem
from kelery_api.models import FieldProblem

_WITHOUT_BODY = ("GET", "HEAD", "DELETE")


def refuse_unknown_parameters(request: Request, *, known: Collection[str]) -> None:
    """Raise Problem for parameters that the route does not have, and for a body that it does not read."""
    unknown = sorted({name for name in request.query_params if name not in known})
    if unknown:
        choice = f"choose from {', '.join(known)}" if known else "this path has no query parameters"
        errors = [
            FieldProblem(parameter=name, detail=f"unknown parameter; {choice}") for name in unknown[:10]
        ]
        raise Problem(
            Kind.INVALID_INPUT, f"{', '.join(unknown)[:200]}: unknown parameter; {choice}", errors=errors
        )
    if request.method in _WITHOUT_BODY and has_body(request):
        raise Problem(
            Kind.BAD_REQUEST,
            f"{request.method} does not accept a body here; use URL parameters or POST",
        )


def has_body(request: Request) -> bool:
    """Whether the headers announce a body."""
    headers = request.headers
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip() != "0"
