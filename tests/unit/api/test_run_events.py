"""The events that follow from a record, its history and the watcher's position."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from kelery.run.model import Record, Transition
from kelery.run.phases import Phase, Reason
from kelery_api.http.problems import Kind, Problem
from kelery_api.streams import run_events
from kelery_api.streams.event_stream import read_event_id
from kelery_api.streams.run_events import Event, EventBatch, Position
from tests.support import sample_records

#: Admitted, claimed, progress at 3 and 4, cancel requested, progress at 6, finished.
HISTORY = (
    Transition(rev=1, phase=Phase.ADMITTED, reason="WaitingForWorker", attempt=1, at=sample_records.START),
    Transition(rev=2, phase=Phase.RUNNING, reason="Started", attempt=1, at=sample_records.START + 1),
    Transition(
        rev=5, phase=Phase.CANCELLING, reason="CancelledByUser", attempt=1, at=sample_records.START + 2
    ),
    Transition(
        rev=7, phase=Phase.CANCELLED, reason="CancelledByUser", attempt=1, at=sample_records.START + 3
    ),
)
PROGRESS = {3: '{"current":1,"total":9,"message":"a"}', 4: '{"current":2,"total":9,"message":"b"}'}
PROGRESS |= {
    5: PROGRESS[4],
    6: '{"current":3,"total":9,"message":"c"}',
    7: '{"current":3,"total":9,"message":"c"}',
}
FINAL = 7


def record_at(rev: int) -> Record:
    """The record at this rev."""
    last = history_at(rev)[-1]
    running = sample_records.running(rev=rev, progress_json=PROGRESS.get(rev, ""))
    return replace(running, phase=last.phase, reason=last.reason)


def history_at(rev: int) -> list[Transition]:
    return [change for change in HISTORY if change.rev <= rev]


def render(record: Record) -> dict[str, Any]:
    return {"metadata": {"uid": record.uid}, "status": {"phase": record.phase.value}}


def events_for(last_event_id: int, *, looks: list[int]) -> list[Event]:
    """The events for a watcher with this last id that reads at these revs."""
    position = run_events.position_after(record_at(looks[0]), last_event_id=last_event_id)
    events: list[Event] = []
    for rev in looks:
        batch = run_events.next_batch(record_at(rev), history_at(rev), position, render=render)
        events += batch.events
        position = batch.position
    return events


def brief(events: list[Event]) -> list[tuple[str, int]]:
    return [(event.name, event.id) for event in events]


def test_a_watcher_that_reads_every_change_receives_every_change() -> None:
    assert brief(events_for(0, looks=[1, 2, 3, 4, 5, 6, 7])) == [
        ("phase", 1),
        ("phase", 2),
        ("progress", 3),
        ("progress", 4),
        ("phase", 5),
        ("progress", 6),
        ("finished", 7),
    ]


@pytest.mark.parametrize("last_event_id", range(FINAL + 1))
def test_one_read_at_the_end_gives_all_phases_after_the_last_id(last_event_id: int) -> None:
    phases = [("phase", rev) for rev in (1, 2, 5) if rev > last_event_id]
    finished = [("finished", FINAL)] if last_event_id < FINAL else []
    assert brief(events_for(last_event_id, looks=[FINAL])) == phases + finished


@pytest.mark.parametrize("broken_off_at", range(FINAL + 1))
@pytest.mark.parametrize("seen_until", range(1, FINAL + 1))
def test_a_watcher_that_reconnects_with_any_received_id_misses_no_phase(
    broken_off_at: int, seen_until: int
) -> None:
    """The first stream reads at `seen_until`, and is interrupted after any of its events."""
    first = events_for(0, looks=[min(seen_until, 2), seen_until])[:broken_off_at]
    last_event_id = first[-1].id if first else 0
    second = events_for(last_event_id, looks=[seen_until, FINAL])
    phases = [event.id for event in first + second if event.name != "progress"]
    assert phases == [1, 2, 5, 7]
    ids = [event.id for event in first + second]
    assert ids == sorted(ids)


@pytest.mark.parametrize("rev", range(1, FINAL))
def test_a_watcher_that_reconnects_with_the_newest_id_receives_nothing_twice(rev: int) -> None:
    newest = events_for(0, looks=[rev])[-1].id
    assert newest == rev
    assert events_for(newest, looks=[rev]) == []


def test_progress_before_a_later_change_is_sent_before_it() -> None:
    assert brief(events_for(2, looks=[5])) == [("progress", 4), ("phase", 5)]


def test_the_same_progress_is_sent_once() -> None:
    assert brief(events_for(2, looks=[4, 4, 5])) == [("progress", 4), ("phase", 5)]


def test_a_new_attempt_sends_its_progress_even_if_it_equals_the_previous_one() -> None:
    first = sample_records.running(rev=3, progress_json=PROGRESS[3])
    position = run_events.next_batch(first, HISTORY[:2], Position(rev=2), render=render).position
    claimed = Transition(rev=5, phase=Phase.RUNNING, reason="Started", attempt=2, at=sample_records.START)
    position = run_events.next_batch(
        replace(first, rev=5, progress_json=""), [*HISTORY[:2], claimed], position, render=render
    ).position
    again = run_events.next_batch(replace(first, rev=6), [*HISTORY[:2], claimed], position, render=render)
    assert brief(list(again.events)) == [("progress", 6)]


def test_history_beyond_the_record_is_left_for_the_next_read() -> None:
    batch = run_events.next_batch(record_at(4), HISTORY, Position(rev=0), render=render)
    assert brief(list(batch.events)) == [("phase", 1), ("phase", 2), ("progress", 4)]
    assert not batch.is_last


def test_an_id_beyond_the_record_restarts_from_the_beginning() -> None:
    assert brief(events_for(99, looks=[2])) == [("phase", 1), ("phase", 2)]


def test_a_final_run_without_history_is_sent_from_its_record() -> None:
    batch = run_events.next_batch(record_at(FINAL), [], Position(rev=0), render=render)
    assert brief(list(batch.events)) == [("finished", FINAL)]
    assert batch.is_last


def test_the_last_event_has_the_run_as_rendered() -> None:
    (finished,) = events_for(5, looks=[FINAL])
    assert finished.data == {"metadata": {"uid": "u-1"}, "status": {"phase": "Cancelled"}}


def test_phase_and_progress_events_have_their_fields() -> None:
    _, running, progress = events_for(0, looks=[3])
    assert running.data == {
        "phase": "Running",
        "reason": "Started",
        "attempt": 1,
        "at": "2026-11-22T10:00:00.000001Z",
        "rev": 2,
    }
    assert progress.data == {"current": 1, "total": 9, "message": "a", "rev": 3}


@pytest.mark.parametrize("broken", ["{", "[1]", '"x"', '{"current":"a"}'])
def test_invalid_progress_does_not_fail(broken: str) -> None:
    record = sample_records.running(rev=3, progress_json=broken)
    (event,) = run_events.next_batch(record, HISTORY[:2], Position(rev=2), render=render).events
    assert event.data == {"rev": 3}


def test_an_unknown_reason_is_shown_as_in_a_status() -> None:
    odd = replace(HISTORY[0], reason="line\nbreak")
    (event,) = run_events.next_batch(record_at(1), [odd], Position(rev=0), render=render).events
    assert event.data["reason"] == "Unknown"


def test_an_event_is_one_block_no_matter_what_its_text_contains() -> None:
    data = {"message": "two\nlines\r\n\nevent: x \u2028 \x00 é"}
    written = Event(name="progress", id=3, data=data).encode()
    head, identity, body, *rest = written.decode("ascii").split("\n")
    assert (head, identity, rest) == ("event: progress", "id: 3", ["", ""])
    assert json.loads(body.removeprefix("data: ")) == data
    assert "\r" not in body


def test_a_batch_of_progress_alone_is_recognized() -> None:
    def batch(*names: str) -> EventBatch:
        return EventBatch(
            events=tuple(Event(name=name, id=1, data={}) for name in names), position=Position(rev=1)
        )

    assert batch("progress").is_only_progress
    assert not batch().is_only_progress
    assert not batch("phase", "progress").is_only_progress


@pytest.mark.parametrize(("text", "number"), [(None, 0), ("", 0), ("0", 0), ("17", 17)])
def test_a_last_event_id_is_read(text: str | None, number: int) -> None:
    assert read_event_id(text) == number


@pytest.mark.parametrize("text", ["x", "-1", "1.0", " 1", "1_0", "٣", "9" * 16, "1\n"])
def test_an_invalid_last_event_id_is_rejected_by_name(text: str) -> None:
    with pytest.raises(Problem) as raised:
        read_event_id(text)
    assert raised.value.kind is Kind.INVALID_INPUT
    assert [error["parameter"] for error in raised.value.errors] == ["Last-Event-ID"]


def test_a_failed_run_ends_the_stream_too() -> None:
    batch = run_events.next_batch(
        sample_records.failed(Reason.TASK_ERROR, rev=4), [], Position(rev=0), render=render
    )
    assert batch.is_last
