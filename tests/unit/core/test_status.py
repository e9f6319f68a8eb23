"""What a TaskRun's status says, by the record of its run; whatever the previous status is, it can be said."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelery.json_codec import INLINE_BYTES
from kelery.run.model import Attempt, Record
from kelery.run.phases import Phase, Reason
from kelery.taskrun import status
from tests.support.sample_records import SECOND, START, admitted, failed, running, succeeded, waiting

NOW = datetime(2026, 11, 22, 12, 0, 0, 500_000, tzinfo=UTC)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
OLD_FIELDS = ("phase", "attempt", "worker", "startTime", "timing", "conditions", "error", "result")
CONDITION_FIELDS = ("type", "status", "lastTransitionTime", "reason")
CONDITIONS = st.lists(JUNK | st.dictionaries(st.sampled_from(CONDITION_FIELDS), JUNK), max_size=3)
PREVIOUS = st.dictionaries(st.sampled_from(OLD_FIELDS), JUNK | CONDITIONS)


def test_a_waiting_run_shows_its_place_and_who_holds_its_key() -> None:
    shown = status.render(waiting(position=3, held_by=("a", "b")), previous={})
    assert (shown["phase"], shown["reason"]) == ("Waiting", "WaitingForKey")
    assert shown["concurrency"] == {"position": 3, "heldBy": ["a", "b"]}
    assert shown["timing"] == {"queued": "2026-11-22T10:00:00.000000Z"}
    assert _conditions(shown) == {
        "Admitted": "False WaitingForKey",
        "Started": "False WaitingForKey",
        "Finished": "False WaitingForKey",
        "Succeeded": "Unknown WaitingForKey",
    }
    assert not {"startTime", "completionTime", "worker", "result", "error", "progress"} & set(shown)


@pytest.mark.parametrize(("position", "seen"), [(1, 1), (10, 10), (11, None), (10_000, None)])
def test_a_place_is_shown_to_the_first_ten_only(position: int, seen: int | None) -> None:
    assert status.render(waiting(position=position), previous={})["concurrency"].get("position") == seen


def test_an_admitted_run_says_what_it_waits_for_and_what_to_do() -> None:
    shown = status.render(admitted(), previous={})
    assert _conditions(shown) == {
        "Admitted": "True Admitted",
        "Started": "False WaitingForWorker",
        "Finished": "False WaitingForWorker",
        "Succeeded": "Unknown WaitingForWorker",
    }
    assert "queue batch" in _message(shown, "Started")
    assert "start a worker" in _message(shown, "Started")
    assert shown["concurrency"] == {"position": 0}


def test_a_running_run_shows_its_worker_without_its_boot_and_its_fence() -> None:
    shown = status.render(running(), previous={})
    assert shown["worker"] == "celery@host/with/slashes"
    assert shown["concurrency"] == {"position": 0, "fence": 418}
    assert shown["startTime"] == "2026-11-22T10:00:02Z"
    assert shown["timing"]["started"] == "2026-11-22T10:00:02.250000Z"
    assert _conditions(shown)["Started"] == "True Started"
    assert _conditions(shown)["Succeeded"] == "Unknown Started"


def test_a_run_without_a_key_shows_its_fence_and_nothing_of_a_key() -> None:
    assert status.render(running(key=""), previous={})["concurrency"] == {"fence": 418}
    assert "concurrency" not in status.render(admitted(key=""), previous={})


def test_a_succeeded_run_shows_its_result_and_when_it_ended() -> None:
    shown = status.render(succeeded('{"a": [1, null]}'), previous={})
    assert shown["result"] == {"value": {"a": [1, None]}, "truncated": False}
    assert shown["completionTime"] == "2026-11-22T10:00:03Z"
    assert shown["timing"]["finished"] == "2026-11-22T10:00:03.999999Z"
    assert _conditions(shown) == {
        "Admitted": "True Admitted",
        "Started": "True Started",
        "Finished": "True Completed",
        "Succeeded": "True Completed",
    }


@pytest.mark.parametrize(
    "text", ["null", "0", "false", '""', "[]", "{}", '"ü"', str(2**63 - 1), str(-(2**63))]
)
def test_a_result_that_looks_like_nothing_is_still_a_result(text: str) -> None:
    shown = status.render(succeeded(text), previous={})["result"]
    assert "value" in shown
    assert shown["truncated"] is False


def test_a_result_is_inline_to_32_kib_and_then_named_by_its_path() -> None:
    fits = '"' + "x" * (INLINE_BYTES - 2) + '"'
    assert status.render(succeeded(fits), previous={})["result"]["value"] == "x" * (INLINE_BYTES - 2)
    path = "/v1/namespaces/team/taskruns/u-1/result"
    for record in (succeeded("", result_bytes=INLINE_BYTES + 1), succeeded(f" {fits}")):
        assert status.render(record, previous={})["result"] == {"truncated": True, "path": path}


@pytest.mark.parametrize(
    "text", ["NaN", "-Infinity", "1e999", str(2**63), "[" * 500 + "]" * 500, "[" * 9999, "{"]
)
def test_what_the_api_server_would_not_take_stays_out_of_the_status(text: str) -> None:
    shown = status.render(succeeded(text), previous={})["result"]
    assert shown["truncated"] is True
    assert "value" not in shown


def test_a_failed_run_shows_its_error_with_the_end_of_its_traceback() -> None:
    error = '{"type": "ValueError", "message": "no\\nway", "traceback": "' + "x" * 20_000 + 'the end"}'
    shown = status.render(failed(Reason.TASK_ERROR, error_json=error), previous={})
    assert (shown["error"]["type"], shown["error"]["message"]) == ("ValueError", "no\nway")
    assert len(shown["error"]["traceback"]) == 16384
    assert shown["error"]["traceback"].endswith("the end")
    assert "result" not in shown
    assert _conditions(shown)["Finished"] == "True TaskError"
    assert _conditions(shown)["Succeeded"] == "False TaskError"


def test_a_run_that_ended_before_it_was_admitted_says_so() -> None:
    record = waiting(
        phase=Phase.FAILED, reason="ConcurrencyRejected", finished_at=START, position=0, held_by=()
    )
    shown = status.render(record, previous={})
    assert _conditions(shown) == {
        "Admitted": "False ConcurrencyRejected",
        "Started": "False ConcurrencyRejected",
        "Finished": "True ConcurrencyRejected",
        "Succeeded": "False ConcurrencyRejected",
    }


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (
            '{"current": 40, "total": 100, "message": "page 40"}',
            {"current": 40, "total": 100, "message": "page 40", "text": "40/100"},
        ),
        ('{"current": 7.9}', {"current": 7, "text": "7"}),
        ('{"current": -1, "total": 1e300}', {"current": 0, "total": 2**63 - 1, "text": f"0/{2**63 - 1}"}),
        ('{"current": "40", "total": true, "message": 4}', None),
        ('{"message": "' + "m" * 2000 + '"}', {"message": "m" * 1024}),
        ('{"current": NaN}', None),
        ("[1]", None),
        ("{", None),
    ],
)
def test_progress_shows_what_can_be_shown(told: str, shown: dict[str, Any] | None) -> None:
    assert status.render(running(progress_json=told), previous={}).get("progress") == shown


def test_the_last_five_attempts_are_shown_newest_first() -> None:
    attempts = tuple(_attempt(number) for number in range(7, 0, -1))
    shown = status.render(running(attempt=8, attempts=attempts), previous={})
    assert [entry["attempt"] for entry in shown["attempts"]] == [7, 6, 5, 4, 3]
    assert shown["attempts"][0] == {
        "attempt": 7,
        "reason": "TaskError",
        "errorType": "ValueError",
        "worker": "celery@h",
        "fence": 17,
        "started": "2026-11-22T10:00:07.000000Z",
        "finished": "2026-11-22T10:00:08.000000Z",
    }


def test_the_start_is_the_first_attempts_and_stays() -> None:
    record = running(attempt=2, started_at=START + 9 * SECOND, attempts=(_attempt(1),))
    first = status.render(record, previous={})
    assert first["startTime"] == "2026-11-22T10:00:01Z"
    assert first["timing"]["started"] == "2026-11-22T10:00:01.000000Z"
    later = status.render(record, previous={"startTime": "2026-11-22T09:59:59Z"})
    assert later["startTime"] == "2026-11-22T09:59:59Z"


def test_a_run_that_was_handed_back_has_still_been_started() -> None:
    shown = status.render(admitted(), previous=status.render(running(), previous={}))
    assert shown["startTime"] == "2026-11-22T10:00:02Z"
    assert _conditions(shown)["Started"] == "True Started"


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    before = status.render(admitted(), previous={})
    shown = status.render(running(admitted_at=START + 50 * SECOND), previous=before)
    assert _since(shown, "Admitted") == _since(before, "Admitted") == "2026-11-22T10:00:01Z"
    assert _since(shown, "Finished") == "2026-11-22T10:00:00Z"
    assert _since(shown, "Started") == "2026-11-22T10:00:02Z"
    assert _since(status.render(succeeded("1"), previous=shown), "Finished") == "2026-11-22T10:00:03Z"


def test_rendering_again_what_was_written_changes_nothing() -> None:
    for record in (waiting(), admitted(), running(), succeeded("1"), failed(Reason.TIMEOUT)):
        written = status.render(record, previous={})
        assert status.render(record, previous=written) == written


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_message_of_whole_sentences(reason: Reason) -> None:
    for record in (admitted(reason=reason.value), failed(reason)):
        for condition in status.render(record, previous={})["conditions"]:
            assert condition["message"]
            assert condition["message"].endswith(".")
            assert not set("{`") & set(condition["message"])


def test_a_reason_of_another_version_is_shown_as_it_is_and_junk_is_not() -> None:
    assert status.render(admitted(reason="SomethingNew"), previous={})["reason"] == "SomethingNew"
    assert status.render(admitted(reason="a b"), previous={})["reason"] == "Unknown"


def test_names_from_workers_and_tasks_are_cut_and_cleaned() -> None:
    error = '{"type": "E\\u0007\\n' + "x" * 600 + '", "message": "' + "\\ud800" * 5000 + '", "traceback": 3}'
    record = failed(Reason.TASK_ERROR, worker="w\n" * 600, error_json=error)
    shown = status.render(record, previous={})
    assert shown["error"]["type"] == ("E  " + "x" * 600)[:512]
    assert shown["error"]["message"] == "\ufffd" * 4096
    assert "traceback" not in shown["error"]
    assert shown["worker"] == "w " * 256


@given(PREVIOUS | JUNK)
def test_no_previous_status_whatever_stops_the_rendering(previous: Any) -> None:
    for record in (waiting(), admitted(), running(), succeeded("1")):
        shown = status.render(record, previous=previous)
        assert shown["phase"] == record.phase.value
        assert len(shown["conditions"]) == 4
    assert status.render_ledger_lost(previous, now=NOW)["reason"] == "LedgerLost"
    assert status.ledger_unavailable(previous, now=NOW)["conditions"]
    assert status.had_started(previous) in (True, False)


def test_a_lost_run_ends_as_failed_with_what_was_known_of_it() -> None:
    previous = status.render(running(), previous={})
    shown = status.render_ledger_lost(previous, now=NOW)
    assert (shown["phase"], shown["reason"]) == ("Failed", "LedgerLost")
    assert (shown["startTime"], shown["completionTime"]) == ("2026-11-22T10:00:02Z", "2026-11-22T12:00:00Z")
    assert shown["timing"]["finished"] == "2026-11-22T12:00:00.500000Z"
    assert shown["worker"] == previous["worker"]
    assert _conditions(shown)["Finished"] == "True LedgerLost"
    assert _conditions(shown)["Succeeded"] == "False LedgerLost"
    assert status.render_ledger_lost(shown, now=NOW)["conditions"] == shown["conditions"]


def test_an_unreachable_ledger_is_logged_once() -> None:
    first = status.ledger_unavailable({}, now=NOW)
    assert _conditions(first)["Admitted"] == "False LedgerUnavailable"
    assert "phase" not in first
    assert status.ledger_unavailable(first, now=NOW + timedelta(minutes=1)) == first


@pytest.mark.parametrize(
    ("previous", "started"),
    [
        ({}, False),
        ({"phase": "Waiting", "attempt": 1}, False),
        ({"phase": "Admitted", "attempt": 1}, False),
        ({"phase": "Running"}, True),
        ({"phase": "Cancelling"}, True),
        ({"phase": "Admitted", "attempt": 2}, True),
        ({"phase": "Admitted", "startTime": "2026-11-22T10:00:02Z"}, True),
        ({"phase": ["Running"], "attempt": "2"}, False),
    ],
)
def test_a_status_tells_whether_the_tasks_code_may_have_run(previous: dict[str, Any], started: bool) -> None:
    assert status.had_started(previous) is started


def test_every_status_that_says_started_is_understood_as_started() -> None:
    unstarted: list[Record] = [waiting(), admitted()]
    assert not any(status.had_started(status.render(record, previous={})) for record in unstarted)
    started = [
        running(),
        succeeded("1"),
        failed(Reason.TIMEOUT),
        admitted(attempt=2, attempts=(_attempt(1),)),
    ]
    assert all(status.had_started(status.render(record, previous={})) for record in started)


def _attempt(number: int) -> Attempt:
    return Attempt(
        attempt=number,
        reason="TaskError",
        error_type="ValueError",
        worker="celery@h/4f2a",
        fence=10 + number,
        started=START + number * SECOND,
        finished=START + (number + 1) * SECOND,
    )


def _conditions(shown: dict[str, Any]) -> dict[str, str]:
    return {entry["type"]: f"{entry['status']} {entry['reason']}" for entry in shown["conditions"]}


def _message(shown: dict[str, Any], type_: str) -> str:
    return next(str(entry["message"]) for entry in shown["conditions"] if entry["type"] == type_)


def _since(shown: dict[str, Any], type_: str) -> str:
    return next(str(entry["lastTransitionTime"]) for entry in shown["conditions"] if entry["type"] == type_)
