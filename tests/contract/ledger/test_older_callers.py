"""Callers up to revision 2 send an outcome as eight values in a fixed order; versions N and N+1 work side by
side, so it counts like one that is sent by names.
"""

import json
from typing import Any

import pytest

from kelery.ledger import commands, library
from kelery.ledger.types import Outcome
from kelery.run import run_message
from kelery.run.model import Retry
from kelery.run.phases import Phase, Reason
from tests.support.ledger_bench import SUCCEEDED, WORKER, Bench, failed

ERROR = json.dumps({"type": "ValueError", "message": "no", "traceback": ""})
MESSAGE = run_message.make(uid="a", task="demo.add", args=(2,), kwargs={}, queue="celery", retries=1)
#: kind, reason, result, error, error_type, head, tail, delay_ms
OLD_SUCCESS = ("succeeded", "Completed", "3", "", "", "", "", 0)
OLD_FAILURE = ("failed", "TaskError", "", ERROR, "ValueError", "", "", 0)
OLD_TIMEOUT = ("failed", "Timeout", "", ERROR, "SoftTimeLimitExceeded", "", "", 0)
OLD_RETRY = ("retry", "Completed", "", "", "Retry", MESSAGE.head, MESSAGE.tail, 600_000)

older = pytest.mark.parametrize("revision", [1, 2])


def say(
    bench: Bench, function: str, revision: int, uid: str, fence: int, outcome: tuple[str | int, ...]
) -> Any:
    """The answer to a caller of this revision."""
    assert len(outcome) == 8
    return bench.ledger.client.fcall(
        f"kelery_v1_{function}", 1, bench.ledger.prefix, revision, uid, fence, *outcome
    )


@older
def test_an_older_caller_settles_a_success(bench: Bench, revision: int) -> None:
    fence = bench.start("a")
    assert say(bench, "settle", revision, "a", fence, OLD_SUCCESS) == ["ok", "Succeeded", "Completed"]
    record = bench.record("a")
    assert (record.result_json, record.error_json) == ("3", "")


@older
def test_an_older_caller_settles_a_failure(bench: Bench, revision: int) -> None:
    fence = bench.start("a")
    assert say(bench, "settle", revision, "a", fence, OLD_FAILURE) == ["ok", "Failed", "TaskError"]
    record = bench.record("a")
    assert (record.result_json, record.error_json) == ("", ERROR)
    assert (record.attempts[0].reason, record.attempts[0].error_type) == ("TaskError", "ValueError")


@older
def test_an_older_caller_settles_a_retry_with_its_message_and_its_pause(bench: Bench, revision: int) -> None:
    fence = bench.start("a", args=(1,))
    assert say(bench, "settle", revision, "a", fence, OLD_RETRY) == ["ok", "Admitted", "RetryBackoff"]
    record = bench.record("a")
    assert record.due == (record.attempts[0].finished or 0) + 600_000_000
    bench.make_due("retry", "a")
    bench.tick()
    newest = bench.messages()[-1]
    assert newest["body"] == json.loads(f"{MESSAGE.head}{MESSAGE.tail}")["body"]
    assert bench.pushed()[-1] == "a:2"


@older
def test_an_older_caller_settles_what_it_staged(bench: Bench, revision: int) -> None:
    fence = bench.start("a")
    assert say(bench, "stage", revision, "a", fence, OLD_SUCCESS) == "ok"
    assert say(bench, "settle", revision, "a", fence, OLD_FAILURE) == ["ok", "Succeeded", "Completed"]
    assert bench.record("a").result_json == "3"


@older
def test_a_newer_caller_settles_what_an_older_one_staged(bench: Bench, revision: int) -> None:
    fence = bench.start("a")
    say(bench, "stage", revision, "a", fence, OLD_FAILURE)
    settled = bench.settle("a", fence, SUCCEEDED)
    assert (settled.phase, settled.reason) == (Phase.FAILED, "TaskError")
    record = bench.record("a")
    assert (record.result_json, record.error_json) == ("", ERROR)
    assert record.attempts[0].error_type == "ValueError"


@older
def test_an_older_caller_settles_what_a_newer_one_staged(bench: Bench, revision: int) -> None:
    fence = bench.start("a")
    bench.ledger.run(commands.stage("a", fence, failed(Reason.RESULT_NOT_SERIALIZABLE)))
    said = say(bench, "settle", revision, "a", fence, OLD_SUCCESS)
    assert said == ["ok", "Failed", "ResultNotSerializable"]


@older
def test_a_timeout_of_an_older_caller_wins_over_a_failure_that_was_staged(
    bench: Bench, revision: int
) -> None:
    fence = bench.start("a")
    say(bench, "stage", revision, "a", fence, OLD_FAILURE)
    assert say(bench, "settle", revision, "a", fence, OLD_TIMEOUT) == ["ok", "Failed", "Timeout"]


def test_an_outcome_that_was_staged_in_a_library_of_revision_2_is_read(bench: Bench) -> None:
    fence = bench.start("a", retry=Retry(max_attempts=2, backoff_seconds=0))
    names = ("kind", "reason", "result", "error", "error_type", "head", "tail", "delay_ms")
    staged = {f"staged_{name}": value for name, value in zip(names, OLD_RETRY, strict=True)}
    bench.ledger.client.hset("kelery:run:a", mapping={"staged_fence": fence, **staged})
    settled = bench.settle("a", fence, failed(Reason.WORKER_LOST))
    assert (settled.phase, settled.reason) == (Phase.ADMITTED, "RetryBackoff")
    assert bench.record("a").attempts[0].error_type == "Retry"


def test_a_library_of_revision_2_can_read_what_is_staged(bench: Bench) -> None:
    """After a flush, an older process may load its own library, which fails on a missing field."""
    fence = bench.start("a")
    bench.ledger.run(commands.stage("a", fence, Outcome(kind="retry")))
    assert {
        name: value
        for name, value in bench.ledger.client.hgetall("kelery:run:a").items()
        if name.startswith("staged_")
    } == {
        "staged_fence": str(fence),
        "staged_kind": "retry",
        "staged_reason": "Completed",
        "staged_result": "",
        "staged_error": "",
        "staged_error_type": "",
        "staged_head": "",
        "staged_tail": "",
        "staged_delay_ms": "0",
    }


def test_a_field_of_an_outcome_that_a_later_revision_adds_is_passed_over(bench: Bench) -> None:
    fence = bench.start("a")
    words = ("kind", "succeeded", "reason", "Completed", "colour", "blue", "result", "3")
    said = bench.ledger.client.fcall("kelery_v1_settle", 1, "kelery", library.REVISION, "a", fence, *words)
    assert said == ["ok", "Succeeded", "Completed"]
    assert bench.record("a").result_json == "3"
    assert bench.record("a").worker == WORKER
