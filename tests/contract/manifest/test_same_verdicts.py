"""A real API server and Kelery judge specs alike: both accept, or both refuse and name the same fields."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.contract.manifest.taskruns_over_http import TaskRuns
from tests.contract.manifest.verdicts import ApiServerJudge, kelery_verdict
from tests.support.spec_cases import BAD, DIFFERENCES, GOOD, UNREADABLE, Difference, SpecCase

_PAUSES = ("backoffSeconds", "maxBackoffSeconds")


@pytest.fixture(scope="module")
def judge(taskruns: TaskRuns) -> Iterator[ApiServerJudge]:
    """The real API server, over one connection."""
    with ApiServerJudge(taskruns.access, namespace=taskruns.namespace) as judge:
        yield judge


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_a_good_spec_is_accepted_by_both(judge: ApiServerJudge, case: SpecCase) -> None:
    assert judge.verdict(case.text).fields == frozenset()
    assert kelery_verdict(case.spec) == frozenset()


@pytest.mark.parametrize("case", BAD, ids=str)
def test_a_bad_spec_is_refused_by_both_and_both_name_the_same_fields(
    judge: ApiServerJudge, case: SpecCase
) -> None:
    assert case.pointers
    assert kelery_verdict(case.spec) == case.pointers
    server = judge.verdict(case.text)
    assert server.fields == server.comparable(case.pointers)


@pytest.mark.parametrize("difference", DIFFERENCES, ids=str)
def test_where_they_differ_they_do_so_on_purpose(judge: ApiServerJudge, difference: Difference) -> None:
    server = judge.verdict(difference.case.text)
    assert server.fields == server.comparable(difference.by_api_server), difference.why
    assert kelery_verdict(difference.case.spec) == difference.case.pointers, difference.why
    assert difference.by_api_server != difference.case.pointers


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_body_is_refused_as_a_whole(judge: ApiServerJudge, text: str) -> None:
    assert judge.answer(text).status == 400


_BASE: dict[str, Any] = {
    "task": "demo.add",
    "args": [],
    "kwargs": {},
    "queue": "celery",
    "priority": 0,
    "concurrency": {"key": "k", "limit": 1, "policy": "Queue", "maxQueueSeconds": 1},
    "timeoutSeconds": 1,
    "retry": {"maxAttempts": 1, "backoffSeconds": 1, "maxBackoffSeconds": 2, "reasons": ["Timeout"]},
    "cancel": "Force",
    "cancelGracePeriodSeconds": 1,
    "ttlSecondsAfterFinished": 1,
}
_PLACES = [(name,) for name in _BASE] + [
    (outer, name) for outer in ("concurrency", "retry") for name in (*_BASE[outer], "unknown")
]
_WORDS = st.sampled_from(["Queue", "Force", "TaskError", "Timeout", "WorkerLost", "", "a b", "x\u200b", "k"])
_NUMBERS = st.integers(-2, 101) | st.sampled_from(
    [1001, 86401, 2**31, 2**53 + 1, 2**63, 2**70, 0.5, 7.0, 1e300]
)
_SCALARS = st.none() | st.booleans() | _NUMBERS | st.text(max_size=3) | _WORDS
_NAMES = st.sampled_from(
    ["key", "limit", "maxAttempts", "backoffSeconds", "reasons", "task", "a.b", "x/y", ""]
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_NAMES, inner, max_size=3),
    max_leaves=5,
)
_CHANGES = st.lists(st.tuples(st.sampled_from([*_PLACES, ("unknown",)]), _VALUES), max_size=5)


@given(changes=_CHANGES, dropped=st.sets(st.sampled_from(_PLACES), max_size=2))
@settings(max_examples=300, deadline=None)
def test_specs_made_at_random_are_judged_alike(
    judge: ApiServerJudge, changes: list[tuple[tuple[str, ...], Any]], dropped: set[tuple[str, ...]]
) -> None:
    spec = deepcopy(_BASE)
    for place in dropped:
        _parent(spec, place).pop(place[-1], None)
    for place, value in changes:
        _parent(spec, place)[place[-1]] = value
    assume(not _has_a_pause_with_a_point(spec))
    server = judge.verdict(json.dumps(spec))
    assert server.comparable(kelery_verdict(spec)) == server.fields


def _parent(spec: dict[str, Any], place: tuple[str, ...]) -> dict[str, Any]:
    """The object that has a path's last name, or a throw-away object if an earlier change removed it."""
    parent = spec if len(place) == 1 else spec.get(place[0])
    return parent if isinstance(parent, dict) else {}


def _has_a_pause_with_a_point(spec: dict[str, Any]) -> bool:
    """The only one of the DIFFERENCES that is likely in random specs."""
    retry = spec.get("retry")
    return isinstance(retry, dict) and any(isinstance(retry.get(pause), float) for pause in _PAUSES)
