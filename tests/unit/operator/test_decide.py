"""What the operator does about a run, situation by situation; and what it never does, in any situation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelery.run.model import CancelMode, Record
from kelery.run.phases import Phase, Reason
from kelery.taskrun import status
from kelery_operator.taskrun.actions import (
    Acknowledge,
    Action,
    Cancel,
    ExpireLater,
    Forget,
    Submit,
    Urgency,
    WriteStatus,
)
from kelery_operator.taskrun.decide import Observation, decide
from kelery_operator.taskrun.run_state import Presence
from tests.support import sample_records as records
from tests.unit.operator.observations import NOW, gone, present, showing, snapshot

DAY = 86400.0
HOUR = 3600.0
ENDED = records.succeeded("3")
ENDED_AT = (ENDED.finished_at or 0) / 1_000_000
CANCELLING = records.running(phase=Phase.CANCELLING, cancel="graceful", cancel_reason="CancelledByUser")
HELM = {"app.kubernetes.io/managed-by": "Helm"}


def asked(mode: str, **more: Any) -> dict[str, Any]:
    return {"task": "demo.add", "cancel": mode, **more}


def kinds(actions: tuple[Action, ...]) -> list[str]:
    return [type(action).__name__ for action in actions]


def user_cancel(mode: CancelMode) -> Cancel:
    return Cancel(mode=mode, reason=Reason.CANCELLED_BY_USER)


DELETED = Cancel(mode=CancelMode.GRACEFUL, reason=Reason.DELETED)
EXPIRES, ACKNOWLEDGED = ExpireLater(due=ENDED_AT + DAY), Acknowledge(retain_seconds=DAY + HOUR)

TABLE: list[tuple[str, Observation, tuple[Action, ...]]] = [
    ("a new run is submitted", present(snapshot(), None), (Submit(),)),
    (
        "one that was shown waiting and has no record is submitted again",
        present(showing(records.waiting()), None),
        (Submit(),),
    ),
    ("one that is as shown is left alone", present(showing(records.running()), records.running()), ()),
    (
        "a wish to cancel is passed on",
        present(showing(records.running(), spec=asked("Graceful"), generation=2), records.running()),
        (user_cancel(CancelMode.GRACEFUL),),
    ),
    ("a wish is passed on once", present(showing(CANCELLING, spec=asked("Graceful")), CANCELLING), ()),
    (
        "force after graceful is passed on",
        present(showing(CANCELLING, spec=asked("Force"), generation=3), CANCELLING),
        (user_cancel(CancelMode.FORCE),),
    ),
    (
        "force is passed on once",
        present(
            showing(replace(CANCELLING, cancel="force"), spec=asked("Force")),
            replace(CANCELLING, cancel="force"),
        ),
        (),
    ),
    (
        "an end that is shown is acknowledged",
        present(showing(ENDED), ENDED),
        (EXPIRES, ACKNOWLEDGED, Forget()),
    ),
    (
        "an end that the server has taken is acknowledged though the watch has not shown it",
        present(showing(records.running()), ENDED, final_written=True),
        (EXPIRES, ACKNOWLEDGED, Forget()),
    ),
    (
        "its own ttl counts",
        present(showing(ENDED, spec={"task": "demo.add", "ttlSecondsAfterFinished": 60}), ENDED),
        (ExpireLater(due=ENDED_AT + 60), Acknowledge(retain_seconds=60 + HOUR), Forget()),
    ),
    (
        "what Helm tracks has no default ttl",
        present(showing(ENDED, labels=HELM), ENDED),
        (ACKNOWLEDGED, Forget()),
    ),
    ("a live run that is gone is cancelled", gone(records.running()), (DELETED,)),
    ("a waiting run that is gone is cancelled", gone(records.waiting()), (DELETED,)),
    ("a run that is gone and on its way out is left to end", gone(CANCELLING), ()),
    (
        "a run that is gone and has ended is acknowledged",
        gone(ENDED),
        (DELETED, Acknowledge(retain_seconds=HOUR), Forget()),
    ),
    ("a run that is gone and was never submitted is forgotten", gone(None), (Forget(),)),
    ("a run of the gateway has no TaskRun to be gone", gone(records.running(origin="REST")), (Forget(),)),
    ("nothing is cancelled while the ledger is unavailable", gone(None, answers=False), ()),
    (
        "a shown run is left alone while the ledger is unavailable",
        present(showing(ENDED), None, answers=False),
        (),
    ),
    (
        "a finished run without a record is left to its ttl",
        present(showing(ENDED), None),
        (ExpireLater(due=float(int(ENDED_AT)) + DAY), Forget()),
    ),
    (
        "a cancel at creation is recorded and never runs",
        present(snapshot(spec=asked("Graceful")), None),
        (
            Submit(
                born_final=Reason.CANCELLED_AT_CREATE,
                message="spec.cancel was set when the TaskRun was created",
            ),
        ),
    ),
    (
        "a cancel before the submission never runs either",
        present(snapshot(spec=asked("Force"), generation=2), None),
        (
            Submit(
                born_final=Reason.CANCELLED_BY_USER,
                message="spec.cancel was set before the run was submitted",
            ),
        ),
    ),
]


@pytest.mark.parametrize(("situation", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_situation(situation: Observation, expected: tuple[Action, ...]) -> None:
    assert decide(situation, now=NOW) == expected


@pytest.mark.parametrize(
    ("record", "urgency"),
    [
        (records.waiting(), Urgency.PHASE),
        (records.admitted(), Urgency.PASSING),
        (records.running(), Urgency.PHASE),
        (ENDED, Urgency.FINAL),
        (records.failed(Reason.TIMEOUT), Urgency.FINAL),
    ],
)
def test_what_is_not_shown_yet_is_written_as_urgently_as_it_is(record: Record, urgency: Urgency) -> None:
    (write,) = decide(present(snapshot(), record), now=NOW)
    assert isinstance(write, WriteStatus)
    assert (write.status["phase"], write.rev, write.urgency) == (record.phase.value, record.rev, urgency)


def test_progress_alone_is_a_minor_matter() -> None:
    shown = showing(records.running())
    moved = records.running(rev=9, progress_json='{"current": 1, "total": 2}')
    (write,) = decide(present(shown, moved), now=NOW)
    assert isinstance(write, WriteStatus)
    assert write.urgency is Urgency.MINOR


def test_far_behind_in_the_queue_a_hand_over_changes_nothing() -> None:
    shown = decide(present(snapshot(), records.waiting(position=50, held_by=("a",))), now=NOW)[0]
    assert isinstance(shown, WriteStatus)
    later = records.waiting(position=49, held_by=("b",))
    assert decide(present(snapshot(shown=dict(shown.status)), later), now=NOW) == ()


@pytest.mark.parametrize("shown", [records.running(), CANCELLING, records.admitted(attempt=2)])
def test_a_run_that_had_started_and_has_no_record_fails_and_is_not_run_again(shown: Record) -> None:
    actions = decide(present(showing(shown), None), now=NOW)
    assert kinds(actions) == ["WriteStatus"]
    (write,) = actions
    assert isinstance(write, WriteStatus)
    assert (write.status["reason"], write.urgency) == ("LedgerLost", Urgency.FINAL)
    assert kinds(decide(present(snapshot(shown=dict(write.status)), None, final_written=True), now=NOW)) == [
        "ExpireLater",
        "Forget",
    ]


@pytest.mark.parametrize(
    ("spec", "reason", "word"),
    [
        ({"task": "t", "args": ["x" * 200_000]}, Reason.SPEC_TOO_LARGE, "spec"),
        (
            {"task": "t", "concurrency": {"key": "k", "limit": 0}},
            Reason.SPEC_INVALID,
            "spec.concurrency.limit",
        ),
        ({}, Reason.SPEC_INVALID, "spec.task"),
    ],
)
def test_what_cannot_be_run_ends_with_the_reason_and_the_field(
    spec: dict[str, Any], reason: Reason, word: str
) -> None:
    (submit,) = decide(present(snapshot(spec=spec), None), now=NOW)
    assert isinstance(submit, Submit)
    assert submit.born_final is reason
    assert word in submit.message


def test_while_the_ledger_is_unavailable_a_new_run_shows_it_once() -> None:
    (write,) = decide(present(snapshot(), None, answers=False), now=NOW)
    assert isinstance(write, WriteStatus)
    told = {condition["type"]: condition for condition in write.status["conditions"]}
    assert (told["Admitted"]["status"], told["Admitted"]["reason"]) == ("False", "LedgerUnavailable")
    assert decide(present(snapshot(shown=dict(write.status)), None, answers=False), now=NOW) == ()


def test_nothing_is_done_about_an_unknown_run() -> None:
    unknown = Observation(
        presence=Presence.UNKNOWN,
        snapshot=None,
        record=records.running(),
        ledger_answers=True,
        final_written=False,
        default_ttl_seconds=0,
    )
    assert decide(unknown, now=NOW) == ()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
status_fields = st.sampled_from(
    ["phase", "reason", "attempt", "startTime", "completionTime", "conditions", "timing", "progress"]
)
broken_statuses = st.dictionaries(status_fields, json_values, max_size=5)
true_statuses = st.builds(
    lambda record: status.render(record, previous={}),
    st.sampled_from([records.waiting(), records.admitted(), records.running(), CANCELLING, ENDED]),
)
specs = st.sampled_from(
    [{"task": "t"}, {}, asked("Graceful"), asked("Force"), {"task": "t", "ttlSecondsAfterFinished": 0}]
) | st.dictionaries(
    st.sampled_from(["task", "args", "cancel", "retry", "ttlSecondsAfterFinished"]), json_values
)
possible_records = st.none() | st.builds(
    replace,
    st.sampled_from([records.waiting(), records.admitted(), records.running(), CANCELLING, ENDED]),
    rev=st.integers(0, 9),
    attempt=st.integers(1, 3),
    cancel=st.sampled_from(["", "graceful", "force"]),
    origin=st.sampled_from(["TaskRun", "REST"]),
    position=st.integers(0, 20),
    progress_json=st.sampled_from(["", "{", '{"current": 1}']),
    error_json=st.sampled_from(["", "null", '{"type": 1}']),
)
views = st.builds(
    snapshot,
    spec=specs,
    shown=st.none() | broken_statuses | true_statuses | json_values,
    generation=st.integers(1, 3),
    labels=st.sampled_from([{}, HELM]),
)
situations = st.builds(
    Observation,
    presence=st.sampled_from(Presence),
    snapshot=st.none() | views,
    record=possible_records,
    ledger_answers=st.booleans(),
    final_written=st.booleans(),
    default_ttl_seconds=st.integers(0, 2**31 - 1),
)


@given(situations)
def test_in_every_situation_there_is_an_answer_and_it_is_always_the_same(situation: Observation) -> None:
    assert decide(situation, now=NOW) == decide(situation, now=NOW)


@given(situations)
def test_no_final_run_that_is_there_is_cancelled_and_no_known_one_submitted(situation: Observation) -> None:
    actions = kinds(decide(situation, now=NOW))
    if situation.record is not None and situation.record.phase.is_final:
        # For a TaskRun that is gone, the call only removes the run from the lists.
        assert "Cancel" not in actions or situation.presence is Presence.GONE
    if situation.record is not None or not situation.ledger_answers:
        assert "Submit" not in actions
    if situation.snapshot is not None and status.had_started(situation.snapshot.status):
        assert "Submit" not in actions
    if situation.presence is Presence.UNKNOWN or not situation.ledger_answers:
        assert not {"Cancel", "Acknowledge", "ExpireLater", "Forget"} & set(actions)
    if "Acknowledge" in actions:
        assert situation.record is not None
        assert situation.record.phase.is_final


@given(situations)
def test_what_is_written_is_at_rest_when_it_is_seen(situation: Observation) -> None:
    """Otherwise two decisions about one run would write indefinitely."""
    view = situation.snapshot
    if view is None or view.problem is not None:
        return
    for action in decide(situation, now=NOW):
        if isinstance(action, WriteStatus):
            after = replace(situation, snapshot=replace(view, status=action.status))
            assert not [a for a in decide(after, now=NOW) if isinstance(a, WriteStatus)]
