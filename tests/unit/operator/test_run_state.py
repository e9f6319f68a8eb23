"""What becomes of the states of an object."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kelery_operator.taskrun.run_state import Presence, RunState, RunStates
from kelery_operator.taskrun.snapshot import snapshot_of
from tests.unit.operator.observations import body, put


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
    states = RunStates()
    put(states, body(version="100"))
    assert put(states, body(version="105", **later))
    again, afresh = states.snapshot("uid-1"), snapshot_of(body(version="105", **later))
    assert again is not None
    assert replace(again, problem=None) == replace(afresh, first_version=100, problem=None)
    assert str(again.problem) == str(afresh.problem)


def test_what_could_not_be_read_is_read_again() -> None:
    states = RunStates()
    put(states, body(spec={"args": 7}))
    bad = states.snapshot("uid-1")
    put(states, body(version="101"))
    good = states.snapshot("uid-1")
    assert bad is not None
    assert bad.problem is not None
    assert good is not None
    assert good.problem is None


def test_a_run_has_its_place_among_those_of_its_namespace() -> None:
    states = RunStates()
    for version in ("30", "5", "200"):
        put(states, body(uid=f"uid-{version}", version=version))
    put(states, body(uid="uid-5", version="300"))
    placed = sorted(("uid-30", "uid-5", "uid-200", "unknown"), key=lambda uid: states.place(uid)[1])
    assert placed == ["uid-5", "uid-30", "uid-200", "unknown"]
    assert states.place("uid-5")[0] == "default"


def test_an_older_state_and_one_of_a_run_that_is_gone_say_nothing_new() -> None:
    states = RunStates()
    put(states, body(version="100"))
    assert not put(states, body(version="99"))
    assert not put(states, body(version="100"))
    states.mark_gone("uid-1")
    assert not put(states, body(version="101"))
    assert (states.presence("uid-1"), states.snapshot("uid-1"), states.present_count()) == (
        Presence.GONE,
        None,
        0,
    )


def test_of_a_run_that_is_forgotten_nothing_but_its_end_is_remembered() -> None:
    states = RunStates()
    put(states, body())
    state = states.get("uid-1")
    assert state is not None
    state.is_submitted, state.position_key = True, "default/k"
    states.note_end("uid-1", version=200)
    states.forget("uid-1")
    assert (states.get("uid-1"), states.presence("uid-1"), states.uids()) == (None, Presence.UNKNOWN, [])
    assert states.end_version("uid-1") == 200
    later = snapshot_of(body(version="300"))
    assert states.put(later)
    assert states.get("uid-1") == RunState(snapshot=later)


def test_a_run_is_not_forgotten_if_its_object_has_changed_since() -> None:
    states = RunStates()
    put(states, body(version="100"))
    seen = states.snapshot("uid-1")
    put(states, body(version="101"))
    states.forget_unchanged("uid-1", seen=seen)
    assert states.version("uid-1") == 101
    states.forget_unchanged("uid-1", seen=states.snapshot("uid-1"))
    assert states.get("uid-1") is None


def test_the_oldest_of_very_many_ends_is_forgotten() -> None:
    states = RunStates()
    for number in range(50_001):
        states.note_end(f"uid-{number}", version=7)
    assert (states.end_version("uid-0"), states.end_version("uid-1")) == (None, 7)


@pytest.mark.parametrize(
    ("said", "is_untouched"),
    [
        ({}, True),
        ({"shown": {"phase": "Waiting"}}, False),
        ({"spec": {"task": "demo.add", "cancel": "Force"}}, False),
        ({"spec": {"args": 7}}, False),
    ],
)
def test_an_untouched_run_is_recognized(said: dict[str, Any], is_untouched: bool) -> None:
    assert RunState(snapshot=snapshot_of(body(**said))).is_untouched is is_untouched
    assert not RunState(snapshot=snapshot_of(body(**said)), is_submitted=True).is_untouched
    assert not RunState(snapshot=None).is_untouched
