"""Parses the bodies of requests. One error names all invalid fields."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kelery.errors import FieldFault, InvalidInput
from kelery.run.model import CancelMode, RunSpec
from kelery.taskrun.spec import parse_spec
from kelery.taskrun.validation import FieldReader
from kelery_api.models import LONGEST_CANCEL_REASON, LONGEST_NAME, NAME_FORM

_NAME = re.compile(NAME_FORM)
_NAME_ALLOWED = "lower-case letters, digits, - and dots, and must begin and end with a letter or digit"
_MODES = {mode.value.lower(): mode for mode in CancelMode}
_QUICKSTART_FIELDS = ("task", "args", "kwargs", "key")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A run to create. Without a name, its name is its uid."""

    spec: RunSpec
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequest:
    """How to cancel a run, and a free-text reason."""

    mode: CancelMode
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickstartCancel:
    """The run that /cancel cancels."""

    task_id: str | None
    key: str | None


def run_request(body: Any) -> RunRequest:
    """Parse `{"spec": ..., "name": ...}`. Raises InvalidInput."""
    problems: list[FieldFault] = []
    fields = FieldReader(body, path=(), fields=("spec", "name"), problems=problems)
    fields.require("spec", "give the spec of a TaskRun")
    name = fields.matching("name", longest=LONGEST_NAME, pattern=_NAME, allowed=_NAME_ALLOWED)
    spec = None
    if fields.get("spec") is not None:
        try:
            spec = parse_spec(fields.get("spec"))
        except InvalidInput as error:
            problems.extend(error.problems)
    fields.refuse_if_any()
    assert spec is not None
    return RunRequest(spec=spec, name=name)


def cancel_request(body: Any) -> CancelRequest:
    """Parse `{"mode": ..., "reason": ...}`, both optional. Raises InvalidInput."""
    fields = FieldReader({} if body is None else body, path=(), fields=("mode", "reason"))
    mode = fields.choice("mode", options=_MODES)
    reason = fields.text("reason", longest=LONGEST_CANCEL_REASON)
    fields.refuse_if_any()
    return CancelRequest(mode=_MODES[mode or "graceful"], reason=reason or "")


def quickstart_cancel(body: Any) -> QuickstartCancel:
    """Parse `{"task_id": ..., "key": ...}` of /cancel, both optional. Raises InvalidInput."""
    fields = FieldReader({} if body is None else body, path=(), fields=("task_id", "key"))
    task_id = fields.text("task_id", longest=LONGEST_NAME)
    key = fields.text("key", longest=LONGEST_NAME)
    fields.refuse_if_any()
    return QuickstartCancel(task_id=task_id, key=key)


def quickstart_request(given: Mapping[str, Any], *, task: str, key: str) -> RunSpec:
    """The spec for /start: one run of the key at a time. Raises InvalidInput with the names of /start."""
    fields = FieldReader(given, path=(), fields=_QUICKSTART_FIELDS)
    fields.refuse_if_any()
    spec = {
        "task": _or_default(given, "task", default=task),
        "args": given.get("args"),
        "kwargs": given.get("kwargs"),
        "concurrency": {"key": _or_default(given, "key", default=key), "policy": "Reject"},
    }
    try:
        return parse_spec(spec)
    except InvalidInput as error:
        first, *further = [_as_quickstart_field(fault) for fault in error.problems]
        raise InvalidInput(first.path, first.problem, further=further) from None


def _as_quickstart_field(fault: FieldFault) -> FieldFault:
    """Rename the field: `spec.task` becomes `task`, and `spec.concurrency.key` becomes `key`."""
    depth = 2 if fault.path[:2] == ("spec", "concurrency") else 1
    return FieldFault(path=fault.path[depth:], problem=fault.problem)


def _or_default(given: Mapping[str, Any], name: str, *, default: str) -> Any:
    value = given.get(name)
    return default if value is None else value
