"""Specs and their model say the same; what cannot be run is refused by the path of its field."""

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelery.errors import InvalidInput, SpecTooLarge
from kelery.run.model import CancelMode, Concurrency, Policy, Retry, RunSpec
from kelery.run.phases import RETRYABLE_REASONS
from kelery.taskrun.spec import fingerprint, parse_readable_part, parse_spec, render_spec

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text(st.characters(exclude_categories=("Z", "C")), min_size=1, max_size=20)
KEYS = st.from_regex(r"[A-Za-z0-9]([-A-Za-z0-9._:/@]{0,20}[A-Za-z0-9])?", fullmatch=True)
SECONDS = st.integers(1, 2592000)
CONCURRENCIES = st.builds(
    Concurrency,
    key=KEYS,
    limit=st.integers(1, 1000),
    policy=st.sampled_from(Policy),
    max_queue_seconds=st.none() | SECONDS,
)
RETRIES = st.integers(0, 86400).flatmap(
    lambda backoff: st.builds(
        Retry,
        max_attempts=st.integers(1, 100),
        backoff_seconds=st.just(backoff),
        max_backoff_seconds=st.integers(backoff, 86400),
        reasons=st.lists(st.sampled_from(RETRYABLE_REASONS), min_size=1, unique=True).map(tuple),
    )
)
SPECS = st.builds(
    RunSpec,
    task=NAMES,
    args=st.lists(JSON, max_size=3).map(tuple),
    kwargs=st.dictionaries(st.text(), JSON, max_size=3),
    queue=st.none() | NAMES,
    priority=st.integers(-1000, 1000),
    concurrency=st.none() | CONCURRENCIES,
    timeout_seconds=st.none() | SECONDS,
    retry=st.none() | RETRIES,
    cancel=st.none() | st.sampled_from(CancelMode),
    cancel_grace_period_seconds=st.integers(0, 3600),
    ttl_seconds_after_finished=st.none() | st.integers(0, 2**31 - 1),
)


@given(SPECS)
def test_what_is_rendered_is_read_as_the_same(spec: RunSpec) -> None:
    assert parse_spec(render_spec(spec)) == spec


def test_a_spec_with_nothing_but_a_task_has_the_documented_defaults() -> None:
    spec = parse_spec({"task": "demo.add"})
    assert spec == RunSpec(task="demo.add")
    assert render_spec(spec) == {
        "task": "demo.add",
        "args": [],
        "kwargs": {},
        "priority": 0,
        "cancelGracePeriodSeconds": 30,
    }
    keyed = parse_spec({"task": "t", "concurrency": {"key": "k"}, "retry": {"maxAttempts": 2}})
    assert keyed.concurrency == Concurrency(key="k", limit=1, policy=Policy.QUEUE, max_queue_seconds=None)
    assert keyed.retry == Retry(
        max_attempts=2, backoff_seconds=5, max_backoff_seconds=300, reasons=RETRYABLE_REASONS
    )


def test_null_means_absent_but_in_arguments() -> None:
    spec = parse_spec({"task": "t", "queue": None, "retry": None, "args": [None], "kwargs": {"a": None}})
    assert spec == RunSpec(task="t", args=(None,), kwargs={"a": None})


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "spec.task"),
        ({"task": ""}, "spec.task"),
        ({"task": 3}, "spec.task"),
        ({"task": "demo add"}, "spec.task"),
        ({"task": "demo\u200b.add"}, "spec.task"),
        ({"task": "demo\ud800"}, "spec.task"),
        ({"task": "t", "args": {"0": 1}}, "spec.args"),
        ({"task": "t", "kwargs": [1]}, "spec.kwargs"),
        ({"task": "t", "queue": "a\nb"}, "spec.queue"),
        ({"task": "t", "priority": 1001}, "spec.priority"),
        ({"task": "t", "priority": True}, "spec.priority"),
        ({"task": "t", "priority": 1.5}, "spec.priority"),
        ({"task": "t", "priority": 10**4000}, "spec.priority"),
        ({"task": "t", "args": [10**5000]}, "spec"),
        ({"task": "t", "concurrency": "key"}, "spec.concurrency"),
        ({"task": "t", "concurrency": {}}, "spec.concurrency.key"),
        ({"task": "t", "concurrency": {"key": "-a"}}, "spec.concurrency.key"),
        ({"task": "t", "concurrency": {"key": "a\n"}}, "spec.concurrency.key"),
        ({"task": "t", "concurrency": {"key": "a", "limit": 0}}, "spec.concurrency.limit"),
        ({"task": "t", "concurrency": {"key": "a", "limit": "1"}}, "spec.concurrency.limit"),
        ({"task": "t", "concurrency": {"key": "a", "policy": "queue"}}, "spec.concurrency.policy"),
        ({"task": "t", "concurrency": {"key": "a", "policy": ["Queue"]}}, "spec.concurrency.policy"),
        (
            {"task": "t", "concurrency": {"key": "a", "maxQueueSeconds": 0}},
            "spec.concurrency.maxQueueSeconds",
        ),
        ({"task": "t", "concurrency": {"key": "a", "limits": 1}}, "spec.concurrency.limits"),
        ({"task": "t", "timeoutSeconds": 0}, "spec.timeoutSeconds"),
        ({"task": "t", "retry": {}}, "spec.retry.maxAttempts"),
        ({"task": "t", "retry": {"maxAttempts": 101}}, "spec.retry.maxAttempts"),
        ({"task": "t", "retry": {"maxAttempts": 2, "backoffSeconds": 400}}, "spec.retry.maxBackoffSeconds"),
        ({"task": "t", "retry": {"maxAttempts": 2, "reasons": []}}, "spec.retry.reasons"),
        (
            {"task": "t", "retry": {"maxAttempts": 2, "reasons": ["Timeout", "Timeout"]}},
            "spec.retry.reasons[1]",
        ),
        (
            {"task": "t", "retry": {"maxAttempts": 2, "reasons": ["Timeout", "Deleted"]}},
            "spec.retry.reasons[1]",
        ),
        ({"task": "t", "cancel": "Now"}, "spec.cancel"),
        ({"task": "t", "cancelGracePeriodSeconds": -1}, "spec.cancelGracePeriodSeconds"),
        ({"task": "t", "ttlSecondsAfterFinished": 2**31}, "spec.ttlSecondsAfterFinished"),
        ({"task": "t", "tasks": 1}, "spec.tasks"),
        ({"task": "t", 3: 1}, "spec.3"),
    ],
)
def test_a_bad_field_is_refused_by_its_path(spec: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_spec(spec)
    assert refused.value.field == field
    assert str(refused.value).startswith(refused.value.field + ": ")
    assert len(str(refused.value)) < 300


@given(JSON)
def test_no_json_whatever_makes_it_fail_otherwise(junk: Any) -> None:
    for spec in (junk, {"task": junk}, {"task": "t", "concurrency": junk}):
        with contextlib.suppress(InvalidInput):
            assert parse_spec(spec).task
        parse_readable_part(spec)


def test_a_value_that_json_cannot_say_is_refused() -> None:
    with pytest.raises(InvalidInput, match="spec: is not JSON"):
        parse_spec({"task": "t", "args": [float("nan")]})


def test_arguments_may_be_nested_to_the_limit_and_no_deeper() -> None:
    assert parse_spec({"task": "t", "args": _nested(32)}).args == tuple(_nested(32))
    assert parse_spec({"task": "t", "kwargs": {"deep": _nested(31)}})
    for spec, field in (
        ({"args": _nested(33)}, "spec.args"),
        ({"args": _nested(100_000)}, "spec.args"),
        ({"kwargs": {"deep": _nested(32)}}, "spec.kwargs"),
    ):
        with pytest.raises(SpecTooLarge) as refused:
            parse_spec({"task": "t", **spec})
        assert refused.value.field == field


def test_anything_else_nested_without_end_is_refused_too() -> None:
    with pytest.raises(InvalidInput):
        parse_spec({"task": "t", "unknown": _nested(100_000)})


def test_a_spec_may_be_128_kib_of_json_in_utf_8_and_no_larger() -> None:
    around = len('{"task":"t","args":[""]}')
    fits = "é" * ((128 * 1024 - around) // 2)
    assert parse_spec({"task": "t", "args": [fits]}).args == (fits,)
    with pytest.raises(SpecTooLarge, match="131072"):
        parse_spec({"task": "t", "args": [fits + "é"]})


@given(SPECS)
def test_the_fingerprint_is_blind_to_what_may_change(spec: RunSpec) -> None:
    changed = replace(spec, cancel=CancelMode.FORCE, ttl_seconds_after_finished=7)
    assert fingerprint(changed) == fingerprint(spec)


@pytest.mark.parametrize(
    "change",
    [
        {"task": "other"},
        {"args": (1,)},
        {"kwargs": {"a": 1}},
        {"queue": "q"},
        {"priority": 1},
        {"concurrency": Concurrency(key="k")},
        {"concurrency": Concurrency(key="k", limit=2)},
        {"timeout_seconds": 1},
        {"retry": Retry()},
        {"retry": Retry(backoff_seconds=6)},
        {"cancel_grace_period_seconds": 0},
    ],
)
def test_the_fingerprint_sees_every_other_change(change: dict[str, Any]) -> None:
    assert fingerprint(replace(RunSpec(task="t"), **change)) != fingerprint(RunSpec(task="t"))


def test_the_fingerprint_does_not_depend_on_the_order_of_keys_nor_on_defaults_written_out() -> None:
    short = parse_spec({"task": "t", "kwargs": {"a": {"x": 1, "y": 2}, "b": 2}})
    long = parse_spec({"kwargs": {"b": 2, "a": {"y": 2, "x": 1}}, "priority": 0, "args": [], "task": "t"})
    assert fingerprint(short) == fingerprint(long)


def test_the_fingerprint_is_the_one_that_runs_of_earlier_versions_have() -> None:
    spec = RunSpec(task="demo.add", args=(1, 2), concurrency=Concurrency(key="k", limit=2), retry=Retry())
    assert fingerprint(spec) == "7f9e2ef7d8bfacc0594279912f19d65513933d48efa61168aabbb5cfa1619f22"


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ({"task": "demo.add", "args": "none"}, RunSpec(task="demo.add")),
        ({"task": "no such\nname"}, RunSpec(task="")),
        ({"task": ["demo.add"]}, RunSpec(task="")),
        (None, RunSpec(task="")),
        ([], RunSpec(task="")),
        ({"cancel": "Force"}, RunSpec(task="", cancel=CancelMode.FORCE)),
        ({"cancel": "Now", "ttlSecondsAfterFinished": 7}, RunSpec(task="", ttl_seconds_after_finished=7)),
        ({"cancel": [], "ttlSecondsAfterFinished": -1}, RunSpec(task="")),
        ({"ttlSecondsAfterFinished": True}, RunSpec(task="")),
    ],
)
def test_of_a_spec_that_cannot_be_run_what_can_be_told_is_read(spec: Any, part: RunSpec) -> None:
    assert parse_readable_part(spec) == part


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value
