"""The CRD's OpenAPI schema, walked and made strict for a JSON Schema validator."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema

from kelery_dev.control_plane.manifests import manifests

Schema = Mapping[str, Any]

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field somewhere in the schema; `path` is as users write it, `[]` for the items of a list."""

    path: tuple[str, ...]
    schema: Schema
    required: bool

    def __str__(self) -> str:
        return ".".join(self.path).replace(".[]", "[]")


def part(name: str) -> Schema:
    """The schema of `spec` or `status`."""
    (crd,) = manifests(subfolder="crds")
    (version,) = crd["spec"]["versions"]
    schema: Schema = version["schema"]["openAPIV3Schema"]["properties"][name]
    return schema


def fields(schema: Schema, *, path: tuple[str, ...] = ()) -> Iterator[Field]:
    """Every field below `schema`. Objects and lists come before their contents."""
    for name, below in schema.get("properties", {}).items():
        inside = (*path, name)
        yield Field(path=inside, schema=below, required=name in schema.get("required", ()))
        yield from fields(below, path=inside)
    items = schema.get("items")
    if items and "type" in items:
        yield Field(path=(*path, "[]"), schema=items, required=False)
        yield from fields(items, path=(*path, "[]"))


def validator(schema: Schema) -> jsonschema.Draft202012Validator:
    """Refuses the same as the API server by the schema alone, and fields that it would silently drop."""
    formats = jsonschema.FormatChecker(formats=())
    formats.checks("date-time")(lambda value: not isinstance(value, str) or bool(_MOMENT.fullmatch(value)))
    formats.checks("int32")(lambda value: not isinstance(value, int) or -(2**31) <= value < 2**31)
    formats.checks("int64")(lambda value: not isinstance(value, int) or -(2**63) <= value < 2**63)
    return jsonschema.Draft202012Validator(_strict(schema), format_checker=formats)


def _strict(schema: Schema) -> dict[str, Any]:
    strict = dict(schema)
    if "properties" in schema:
        strict["properties"] = {name: _strict(below) for name, below in schema["properties"].items()}
        strict["additionalProperties"] = False
    if "items" in schema:
        strict["items"] = _strict(schema["items"])
    return strict
