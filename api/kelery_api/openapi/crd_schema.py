"""Translates the CRD's schema of spec and status to JSON Schema for the OpenAPI document.

The CRD is the only place that defines fields and limits. Rules between fields, which JSON Schema cannot
express, are added to the descriptions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from kelery.taskrun.crd import chart_files
from kelery_api.models import TASK_NAME_FORM

Schema = dict[str, Any]

_CRD = "taskruns.kelery.dev.yaml"
_FREE_FORM = "x-kubernetes-preserve-unknown-fields"
_RULES = "x-kubernetes-validations"
#: The keywords of the CRD's schema that are also JSON Schema.
_KEPT = frozenset(
    {"type", "description", "format", "enum", "default", "pattern", "required"}
    | {"minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties"}
)
_NAME_RULE = "matches("
_RETRY_RULE = "self.maxBackoffSeconds >= self.backoffSeconds"


def task_run_schemas() -> dict[str, Schema]:
    """The schemas `TaskRunSpec` and `TaskRunStatus`."""
    crd = yaml.safe_load((chart_files() / "crds" / _CRD).read_text())
    (version,) = crd["spec"]["versions"]
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    return {
        "TaskRunSpec": _translated(properties["spec"], from_user=True),
        "TaskRunStatus": _translated(properties["status"], from_user=False),
    }


def _translated(crd: Mapping[str, Any], *, from_user: bool) -> Schema:
    """`from_user`: unknown fields are rejected, and null means absent."""
    if crd.get(_FREE_FORM) and "type" not in crd:
        return {"description": crd["description"]}
    schema = {word: value for word, value in crd.items() if word in _KEPT}
    if crd.get("x-kubernetes-list-type") == "set":
        schema["uniqueItems"] = True
    if "items" in crd:
        schema["items"] = _translated(crd["items"], from_user=from_user)
    if "properties" in crd:
        schema["properties"] = _properties(crd, from_user=from_user)
        if from_user:
            schema["additionalProperties"] = False
    elif crd.get(_FREE_FORM):
        schema["additionalProperties"] = True
    _express_rules(schema, rules=[rule["rule"] for rule in crd.get(_RULES, ())])
    return schema


def _properties(crd: Mapping[str, Any], *, from_user: bool) -> dict[str, Schema]:
    translated = {}
    for name, below in crd["properties"].items():
        schema = _translated(below, from_user=from_user)
        if from_user and name not in crd.get("required", ()):
            schema = _or_null(schema)
        translated[name] = schema
    return translated


def _or_null(schema: Schema) -> Schema:
    """The schema, and null, which means absent."""
    wider = {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        wider["enum"] = [*schema["enum"], None]
    return wider


def _express_rules(schema: Schema, *, rules: list[str]) -> None:
    """Rules about changes are skipped, because the gateway never changes a spec."""
    for rule in rules:
        if "oldSelf" in rule:
            continue
        if _NAME_RULE in rule:
            schema["pattern"] = TASK_NAME_FORM
        elif rule == _RETRY_RULE:
            schema["description"] += " maxBackoffSeconds must be at least backoffSeconds."
        else:
            raise ValueError(f"the CRD has a rule that the OpenAPI document does not express: {rule}")
