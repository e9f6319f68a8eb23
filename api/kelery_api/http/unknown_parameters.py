"""What a request says and nobody would hear is refused: a misspelt parameter that is passed over would do
something else than was asked for, and say that all is well.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import Request

from kelery_api.http.problems import Kind, Problem
from kelery_api.models import FieldProblem

_WITHOUT_BODY = ("GET", "HEAD", "DELETE")


def refuse_unknown_parameters(request: Request, *, known: Collection[str]) -> None:
    """Raise Problem for parameters that the route has not, and for a body that it would not read."""
    unknown = sorted({name for name in request.query_params if name not in known})
    if unknown:
        choice = f"choose from {', '.join(known)}" if known else "there are none here"
        errors = [
            FieldProblem(parameter=name, detail=f"unknown parameter; {choice}") for name in unknown[:10]
        ]
        raise Problem(
            Kind.INVALID_INPUT, f"{', '.join(unknown)[:200]}: unknown parameter; {choice}", errors=errors
        )
    if request.method in _WITHOUT_BODY and has_body(request):
        raise Problem(
            Kind.BAD_REQUEST,
            f"{request.method} takes no body here; say it in the URL, or use POST",
        )


def has_body(request: Request) -> bool:
    """Whether a body is announced."""
    headers = request.headers
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip() != "0"
