"""The parts of docs/reference/taskrun.md, from the CRD."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from kelery.taskrun.crd import chart_files
from kelery_dev.documents.parts import code, table

_DAY = 86400
_SENTENCE_END = re.compile(r"(?<=[.]) (?=[^a-z])")
#: Sentences that only repeat the bounds.
_BOUNDS = re.compile(
    r"-?\d+ to -?\d+(?: characters| \(\d+ days?\))?\.|At most \d+ (?:items|entries|characters)\."
)
_NAMES = re.compile(r"\b([a-z]+[A-Z]\w*|kubectl (?:create|apply|wait)(?: --[-=\w]+)?)")

Schema = Mapping[str, Any]


def parts() -> dict[str, str]:
    """By the names of their marks."""
    crd = yaml.safe_load((chart_files() / "crds" / "taskruns.kelery.dev.yaml").read_text())
    (version,) = crd["spec"]["versions"]
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    return {
        "fields of the spec": table(
            ("field", "type", "default", "bounds", "meaning"), _spec_rows(properties["spec"])
        ),
        "fields of the status": table(
            ("field", "type", "bounds", "meaning"), _status_rows(properties["status"])
        ),
        "columns": table(
            ("column", "field", "meaning"),
            (
                (column["name"].upper(), code(column["jsonPath"].lstrip(".")), column["description"])
                for column in version["additionalPrinterColumns"]
            ),
        ),
        "field selectors": "\n".join(
            f"- `{field['jsonPath'].lstrip('.')}`" for field in version["selectableFields"]
        ),
    }


def bounds(schema: Schema) -> str:
    """The bounds that the API server enforces; "" if there are none."""
    options = schema.get("enum") or schema.get("items", {}).get("enum")
    if options:
        return ", ".join(code(option) for option in options)
    if "maxProperties" in schema:
        return f"at most {schema['maxProperties']} entries"
    for least, most, unit in (("minItems", "maxItems", " items"), ("minLength", "maxLength", " characters")):
        if most in schema and schema.get("format") != "date-time":
            from_least = f"{schema[least]} to" if least in schema else "at most"
            return f"{from_least} {schema[most]}{unit}"
    if "maximum" not in schema:
        return f"at least {schema['minimum']}" if "minimum" in schema else ""
    days, rest = divmod(schema["maximum"], _DAY)
    in_days = f" ({days} day{'s' if days > 1 else ''})" if days and not rest else ""
    return f"{schema['minimum']} to {schema['maximum']}{in_days}"


def leaves(schema: Schema, *, path: str = "") -> Iterator[tuple[str, Schema, bool]]:
    """Each field below `schema`: its path, its schema, and whether it is required."""
    for name, below in schema.get("properties", {}).items():
        inside = f"{path}.{name}" if path else name
        yield inside, below, name in schema.get("required", ())
        yield from leaves(below, path=inside)
        yield from leaves(below.get("items", {}), path=f"{inside}[]")


def _spec_rows(schema: Schema) -> Iterator[tuple[str, ...]]:
    for path, field, required in leaves(schema):
        default = code(json.dumps(field["default"])) if "default" in field else "required" if required else ""
        yield code(path), _type(field), default, bounds(field), _meaning(field)


def _status_rows(schema: Schema) -> Iterator[tuple[str, ...]]:
    for path, field, _ in leaves(schema):
        yield code(path), _type(field), bounds(field), _meaning(field)


def _type(schema: Schema) -> str:
    if schema.get("format") == "date-time":
        return "time"
    if schema.get("type") != "array":
        return str(schema.get("type", "any JSON"))
    return f"list of {schema['items']['type']}s" if "type" in schema["items"] else "list"


def _meaning(schema: Schema) -> str:
    text = " ".join(schema["description"].split())
    kept = [sentence for sentence in _SENTENCE_END.split(text) if not _BOUNDS.fullmatch(sentence)]
    return _NAMES.sub(r"`\1`", " ".join(kept))
