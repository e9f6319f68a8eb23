"""JSON responses, encoded once and directly, so that no schema library changes a user's number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from kelery import json_codec

_JSON = "application/json"


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response with a JSON body and a final newline, for terminals."""
    return Response(f"{json_codec.compact(value)}\n", status_code=status, headers=headers, media_type=_JSON)


def json_text_response(text: str) -> Response:
    """A response whose body is already JSON."""
    return Response(text, media_type=_JSON)
