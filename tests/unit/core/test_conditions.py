"""What the conditions of a run say about why it was stopped."""

from __future__ import annotations

import pytest

from kelery.run.model import Record
from kelery.run.phases import Phase, Reason
from kelery.taskrun import conditions
from tests.support.sample_records import running


def finished_message(record: Record) -> str:
    shown = conditions.conditions_of(record, previous=None, started=record.started_at)
    return next(str(one["message"]) for one in shown if one["type"] == "Finished")


def stopped(reason: Reason, message: str, *, phase: Phase = Phase.CANCELLED) -> Record:
    return running(phase=phase, reason=reason.value, cancel_reason=reason.value, cancel_message=message)


@pytest.mark.parametrize("phase", [Phase.CANCELLING, Phase.CANCELLED])
@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (Reason.CANCELLED_BY_USER, "Cancellation was requested: wrong input"),
        (Reason.DELETED, "The run was deleted: wrong input"),
    ],
)
def test_who_stopped_a_run_is_quoted(reason: Reason, said: str, phase: Phase) -> None:
    assert finished_message(stopped(reason, "wrong input", phase=phase)) == said


@pytest.mark.parametrize("message", ["", " \n "])
def test_who_said_nothing_is_not_quoted(message: str) -> None:
    assert finished_message(stopped(Reason.CANCELLED_BY_USER, message)) == "Cancellation was requested."


@pytest.mark.parametrize("reason", [Reason.SUPERSEDED, Reason.COMPLETED, Reason.TASK_ERROR])
def test_what_ended_for_another_reason_quotes_nobody(reason: Reason) -> None:
    assert "wrong input" not in finished_message(stopped(reason, "wrong input"))


def test_the_quotation_is_one_bounded_line_that_the_api_server_takes() -> None:
    said = finished_message(stopped(Reason.CANCELLED_BY_USER, "one\ntwo\x1b \ud800" + "x" * 5000))
    assert said.startswith("Cancellation was requested: one two")
    assert said.isprintable()
    assert len(said) < 600
    said.encode()
