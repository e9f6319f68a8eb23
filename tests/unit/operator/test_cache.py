"""What the cache makes of the states of an object."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kelery_operator.taskrun.cache import Cache
from kelery_operator.taskrun.snapshot import snapshot_of
from tests.unit.operator.situations import body


@pytest.mark.parametrize(
    "later",
    [
        {"shown": {"phase": "Running"}},
        {"shown": ["odd"]},
        {"labels": {"app.kubernetes.io/managed-by": "Helm"}},
        {"generation": 2, "spec": {"task": "demo.add", "cancel": "Graceful"}},
        {"generation": 2, "spec": {"task": "demo.add", "ttlSecondsAfterFinished": 5}},
        {"generation": 2, "spec": {"args": 7}},
    ],
)
def test_a_later_state_is_read_as_if_it_were_the_first(later: dict[str, Any]) -> None:
    cache = Cache()
    cache.put(body(version="100"))
    again = cache.put(body(version="105", **later))
    afresh = replace(snapshot_of(body(version="105", **later)), first_version=100)
    assert again is not None
    assert replace(again, problem=None) == replace(afresh, problem=None)
    assert str(again.problem) == str(afresh.problem)


def test_what_could_not_be_read_is_read_again() -> None:
    cache = Cache()
    bad = cache.put(body(spec={"args": 7}))
    good = cache.put(body(version="101"))
    assert bad is not None
    assert bad.problem is not None
    assert good is not None
    assert good.problem is None


def test_a_run_has_its_place_among_those_of_its_namespace() -> None:
    cache = Cache()
    for version in ("30", "5", "200"):
        cache.put(body(uid=f"uid-{version}", version=version))
    cache.put(body(uid="uid-5", version="300"))
    placed = sorted(("uid-30", "uid-5", "uid-200", "unknown"), key=lambda uid: cache.place(uid)[1])
    assert placed == ["uid-5", "uid-30", "uid-200", "unknown"]
    assert cache.place("uid-5")[0] == "default"
