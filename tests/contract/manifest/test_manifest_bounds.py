"""Every typed field of the TaskRun's schema has a description and bounds: no object grows without limit."""

from collections.abc import Iterator
from typing import Any

import pytest

from kelery_dev.control_plane.manifests import manifests

(_CRD,) = manifests(subfolder="crds")
_SCHEMA: dict[str, Any] = _CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def _fields(schema: dict[str, Any], *, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema under one, with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from _fields(child, path=f"{path}.{name}")
    if "items" in schema:
        yield from _fields(schema["items"], path=f"{path}[]")


_TYPED = [
    pytest.param(schema, id=path)
    for root in ("spec", "status")
    for path, schema in _fields(_SCHEMA["properties"][root], path=root)
]


def _is_bounded(schema: dict[str, Any]) -> bool:
    """Whether the size of the schema's values is limited."""
    match schema.get("type"):
        case "string":
            return "enum" in schema or "maxLength" in schema
        case "integer":
            return "minimum" in schema and ("maximum" in schema or "format" in schema)
        case "array":
            return "maxItems" in schema
        case "object":
            return "maxProperties" in schema or ("properties" in schema and not _keeps_unknown(schema))
        case "boolean":
            return True
        case other:
            return other is None and _keeps_unknown(schema)


def _keeps_unknown(schema: dict[str, Any]) -> bool:
    return bool(schema.get("x-kubernetes-preserve-unknown-fields"))


@pytest.mark.parametrize("schema", _TYPED)
def test_a_field_is_bounded(schema: dict[str, Any]) -> None:
    assert _is_bounded(schema), schema


@pytest.mark.parametrize("schema", [param for param in _TYPED if not str(param.id).endswith("[]")])
def test_a_field_says_what_it_is(schema: dict[str, Any]) -> None:
    assert str(schema["description"]).endswith(".")


def test_only_arguments_and_results_are_free_form() -> None:
    free = {str(param.id) for param in _TYPED if _keeps_unknown(param.values[0])}  # type: ignore[arg-type]
    assert free == {"spec.args[]", "spec.kwargs", "status.result.value"}
