"""What a route adds to the OpenAPI document, next to its signature and response model:
`responses=problems(...)` and `openapi_extra=json_body(...)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kelery_api import models
from kelery_api.http.problems import MEDIA_TYPE, Kind
from kelery_api.openapi.crd_schema import Schema

Responses = dict[int | str, dict[str, Any]]
_TEXT: Schema = {"type": "string"}


def ref(model: Any) -> Schema:
    """A reference to the schema of a model."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def problems(*kinds: Kind) -> Responses:
    """The problem responses of a route. `document` adds those that are common to all routes."""
    responses: Responses = {}
    for kind in kinds:
        response = responses.setdefault(
            str(kind.status),
            {"headers": {}, "content": {MEDIA_TYPE: {"schema": ref(models.Problem), "examples": {}}}},
        )
        response["headers"].update({name: {"schema": _TEXT} for name in kind.headers})
        response["content"][MEDIA_TYPE]["examples"][kind.slug] = {"value": _example(kind)}
    return responses


def json_body(model: Any, *, examples: Mapping[str, Any], required: bool = True) -> dict[str, Any]:
    """The request body of a route that reads the body itself."""
    named = {name: {"value": value} for name, value in examples.items()}
    content = {"application/json": {"schema": ref(model), "examples": named}}
    return {"requestBody": {"required": required, "content": content}}


def _example(kind: Kind) -> models.Problem:
    example: models.Problem = {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": "what is wrong with this request, and how to fix it",
        "instance": "/v1/namespaces/default/taskruns",
        "request_id": "3f0c",
    }
    if kind is Kind.INVALID_INPUT:
        example["errors"] = [
            {"pointer": "/spec/concurrency/limit", "detail": "0 is out of range; give 1 to 1000"}
        ]
    return example
