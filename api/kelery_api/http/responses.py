"""Responses in JSON, written once and as they are: no schema library changes a user's number on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from kelery import json_codec

_JSON = "application/json"


def json_response(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response with a JSON body, and a line end for terminals."""
    return Response(f"{json_codec.compact(value)}\n", status_code=status, headers=headers, media_type=_JSON)


def json_text_response(text: str) -> Response:
    """A response whose body is JSON already."""
    return Response(text, media_type=_JSON)
