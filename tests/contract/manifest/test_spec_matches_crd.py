"""The CRD's spec and the model are the same: every field, default and bound, in both directions.

The bounds come from the schema, so a changed YAML fails here until the parser follows, and the reverse.
"""

import dataclasses
import re
import unicodedata
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import pytest

from kelery.errors import InvalidInput
from kelery.run.model import Concurrency, Policy, Retry, RunSpec
from kelery.run.phases import RETRYABLE_REASONS
from kelery.taskrun.spec import parse_spec, render_spec
from tests.contract.manifest.crd_schema import Field, fields, part, validator

SPEC = part("spec")
FIELDS = {str(field): field for field in fields(SPEC)}
VALIDATOR = validator(SPEC)

#: Every field of the schema, and none at its default.
FULL: dict[str, Any] = {
    "task": "demo.add",
    "args": [1, None, {"a": []}],
    "kwargs": {"name": "Bob", "nothing": None},
    "queue": "batch",
    "priority": 7,
    "concurrency": {"key": "report/tenant-7", "limit": 2, "policy": "Replace", "maxQueueSeconds": 600},
    "timeoutSeconds": 3600,
    "retry": {
        "maxAttempts": 3,
        "backoffSeconds": 1,
        "maxBackoffSeconds": 600,
        "reasons": ["Timeout", "TaskError"],
    },
    "cancel": "Graceful",
    "cancelGracePeriodSeconds": 3,
    "ttlSecondsAfterFinished": 4,
}
#: Code points of letters, control characters and invisible characters.
BLOCKS = [
    (0x0, 0x250),
    (0x600, 0x620),
    (0x1FF0, 0x2080),
    (0x3000, 0x3010),
    (0xE000, 0xE008),
    (0xFE00, 0xFF10),
]
#: The two are bound to each other by a rule of the CRD.
COMPANIONS = {
    "retry.backoffSeconds": ("retry.maxBackoffSeconds", "maximum"),
    "retry.maxBackoffSeconds": ("retry.backoffSeconds", "minimum"),
}


def test_every_field_goes_from_the_schema_to_the_model_and_back() -> None:
    VALIDATOR.validate(FULL)
    assert {str(field) for field in fields(SPEC) if field.path[-1] != "[]"} == set(_paths(FULL))
    assert render_spec(parse_spec(FULL)) == FULL


def test_every_field_of_the_model_is_fed_by_the_schema() -> None:
    spec = parse_spec(FULL)
    for record, default in (
        (spec, RunSpec(task="")),
        (spec.concurrency, Concurrency(key="")),
        (spec.retry, Retry()),
    ):
        assert record is not None
        unfed = [
            field.name
            for field in dataclasses.fields(default)
            if getattr(record, field.name) == getattr(default, field.name)
        ]
        assert unfed == []


def test_defaults_are_the_same_and_what_has_none_stays_absent() -> None:
    least = {"task": "t", "concurrency": {"key": "k"}, "retry": {"maxAttempts": 1}}
    shown = render_spec(parse_spec(least))
    # Free-form arguments have no default in the schema; a task without arguments gets none either way.
    assert (shown.pop("args"), shown.pop("kwargs")) == ([], {})
    defaults = {path: field.schema["default"] for path, field in FIELDS.items() if "default" in field.schema}
    given = {"task": "t", "concurrency.key": "k", "retry.maxAttempts": 1}
    assert dict(_leaves(shown)) == {**defaults, **given}


def test_required_fields_are_the_same() -> None:
    for path, field in FIELDS.items():
        if field.path[-1] == "[]":
            continue
        without = deepcopy(FULL)
        _parent(without, field)[0].pop(field.path[-1])
        assert VALIDATOR.is_valid(without) is not field.required
        assert _parses(without) is not field.required, path


@pytest.mark.parametrize("path", ["", "concurrency", "retry"])
def test_a_field_that_the_schema_lacks_is_refused(path: str) -> None:
    spec = deepcopy(FULL)
    (spec[path] if path else spec)["extra"] = 1
    assert not VALIDATOR.is_valid(spec)
    with pytest.raises(InvalidInput, match="extra: unknown field"):
        parse_spec(spec)


def _probes() -> Iterator[tuple[str, Any, bool]]:
    """(path, value, whether it is within bounds) on both sides of every bound of the schema."""
    for path, field in FIELDS.items():
        if field.path[-1] == "[]":
            continue
        for value, inside in _around(field.schema):
            yield path, value, inside


def _entries(count: int) -> dict[str, int]:
    return {f"k{number}": number for number in range(count)}


def _around(schema: Mapping[str, Any]) -> Iterator[tuple[Any, bool]]:
    match schema["type"]:
        case "integer":
            least, most = schema["minimum"], schema["maximum"]
            yield from [(least, True), (most, True), (least - 1, False), (most + 1, False)]
            yield from [(str(least), False), (True, False), (least + 0.5, False)]
        case "string" if "enum" in schema:
            yield from [(word, True) for word in schema["enum"]]
            yield from [("Other", False), (schema["enum"][0].lower(), False), ("", False), (1, False)]
        case "string":
            longest = schema["maxLength"]
            yield from [
                ("a", True),
                ("a" * longest, True),
                ("", False),
                ("a" * (longest + 1), False),
                (1, False),
            ]
        case "array" if "enum" in schema["items"]:
            words = schema["items"]["enum"]
            yield from [([words[0]], True), (words, True), (words[::-1], True)]
            yield from [([], False), ([*words, words[0]], False), (["Other"], False), (words[0], False)]
        case "array":
            most = schema["maxItems"]
            yield from [([], True), ([0] * most, True), ([0] * (most + 1), False), ({}, False), ("a", False)]
        case "object" if "properties" not in schema:
            most = schema["maxProperties"]
            yield from [({}, True), (_entries(most), True), (_entries(most + 1), False), ([], False)]
        case "object":
            yield from [([], False), ("a", False), (1, False)]


@pytest.mark.parametrize(("path", "value", "inside"), list(_probes()), ids=lambda probe: repr(probe)[:40])
def test_both_sides_of_every_bound_are_the_same(path: str, value: Any, inside: bool) -> None:
    spec = deepcopy(FULL)
    _put(spec, FIELDS[path], value)
    if inside and path in COMPANIONS:
        other, bound = COMPANIONS[path]
        _put(spec, FIELDS[other], FIELDS[other].schema[bound])
    assert VALIDATOR.is_valid(spec) is inside
    if inside:
        assert parse_spec(render_spec(parse_spec(spec))) == parse_spec(spec)
    else:
        with pytest.raises(InvalidInput) as refused:
            parse_spec(spec)
        assert refused.value.field.startswith(f"spec.{path}")


def test_a_repeated_reason_is_refused_as_a_set_refuses_it() -> None:
    assert FIELDS["retry.reasons"].schema["x-kubernetes-list-type"] == "set"
    assert not _parses({"task": "t", "retry": {"maxAttempts": 2, "reasons": ["Timeout", "Timeout"]}})


def test_the_longest_pause_is_bound_to_the_first_as_the_rule_says() -> None:
    rules = [rule["rule"] for rule in FIELDS["retry"].schema["x-kubernetes-validations"]]
    assert "self.maxBackoffSeconds >= self.backoffSeconds" in rules
    assert _parses({"task": "t", "retry": {"maxAttempts": 2, "backoffSeconds": 300}})
    assert not _parses({"task": "t", "retry": {"maxAttempts": 2, "backoffSeconds": 301}})


@pytest.mark.parametrize("path", [path for path, field in FIELDS.items() if "pattern" in field.schema])
def test_the_same_characters_are_allowed(path: str) -> None:
    schema = FIELDS[path].schema
    rules = " ".join(rule["rule"] for rule in schema.get("x-kubernetes-validations", ()))
    forbidden = ("Z", "Cc", "Cf", "Co") if r"[\\p{Z}\\p{Cc}\\p{Cf}\\p{Co}]" in rules else ()
    characters = [chr(code) for block in BLOCKS for code in range(*block)]
    spec, differing = deepcopy(FULL), []
    for text in [form for character in characters for form in (character, f"a{character}", f"a{character}a")]:
        fits = not any(unicodedata.category(character).startswith(forbidden) for character in text)
        _put(spec, FIELDS[path], text)
        if _parses(spec) is not (fits and re.search(_ecma(schema["pattern"]), text) is not None):
            differing.append(text)
    assert differing == []


def test_the_words_of_the_schema_are_the_models() -> None:
    assert FIELDS["concurrency.policy"].schema["enum"] == [policy.value for policy in Policy]
    assert FIELDS["retry.reasons"].schema["default"] == [reason.value for reason in RETRYABLE_REASONS]


def _ecma(pattern: str) -> str:
    """Python's `$` would also match before a newline at the end."""
    return pattern.removesuffix("$") + r"\Z"


def _parses(spec: dict[str, Any]) -> bool:
    try:
        parse_spec(spec)
    except InvalidInput:
        return False
    return True


def _parent(spec: dict[str, Any], field: Field) -> tuple[dict[str, Any], str]:
    parent = spec
    for name in field.path[:-1]:
        parent = parent[name]
    return parent, field.path[-1]


def _put(spec: dict[str, Any], field: Field, value: Any) -> None:
    parent, name = _parent(spec, field)
    parent[name] = value


def _paths(spec: Mapping[str, Any], *, prefix: str = "") -> Iterator[str]:
    for name, value in spec.items():
        yield prefix + name
        if isinstance(value, dict) and name != "kwargs":
            yield from _paths(value, prefix=f"{prefix}{name}.")


def _leaves(spec: Mapping[str, Any], *, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in spec.items():
        if isinstance(value, dict):
            yield from _leaves(value, prefix=f"{prefix}{name}.")
        else:
            yield prefix + name, value
