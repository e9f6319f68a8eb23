"""A run ends with what its task returns or raises, and the worker keeps running."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from kelery.run.model import Retry
from kelery.run.phases import Phase, Reason
from tests.support.ledger_probe import LedgerProbe
from tests.support.polling import poll_until
from tests.support.worker_process import WorkerProcess


def test_results_arrive_as_they_were_returned(probe: LedgerProbe, worker: WorkerProcess) -> None:
    values: list[Any] = [
        None,
        0,
        False,
        "",
        "héllo ☃ 𝄞",
        [],
        {},
        [1, [2, None]],
        {"a": {"b": None}},
        1.5,
        2**53 + 1,
        -(2**63),
    ]
    uids = [probe.submit("users.echo", value) for value in values]
    for uid, value in zip(uids, values, strict=True):
        assert probe.wait_for(uid).phase is Phase.SUCCEEDED
        assert probe.result(uid) == value
        assert type(probe.result(uid)) is type(value)


def test_a_large_result_is_kept_whole(probe: LedgerProbe, worker: WorkerProcess) -> None:
    uid = probe.submit("users.returns", "large")
    record = probe.wait_for(uid)
    assert (record.phase, record.result_json) == (Phase.SUCCEEDED, "")
    assert record.result_bytes > 80_000
    assert probe.result(uid) == "ä" * 40_000


@pytest.mark.parametrize(
    ("what", "reason", "words"),
    [
        ("nan", Reason.RESULT_NOT_SERIALIZABLE, "nan"),
        ("set", Reason.RESULT_NOT_SERIALIZABLE, "set"),
        ("big", Reason.RESULT_NOT_SERIALIZABLE, "64 bits"),
        ("loop", Reason.RESULT_NOT_SERIALIZABLE, ""),
        ("surrogate", Reason.RESULT_NOT_SERIALIZABLE, ""),
        ("huge", Reason.RESULT_TOO_LARGE, "store it elsewhere"),
    ],
)
def test_a_result_that_cannot_be_kept_fails_the_run_and_not_the_worker(
    what: str, reason: Reason, words: str, probe: LedgerProbe, worker: WorkerProcess
) -> None:
    uid = probe.submit("users.returns", what)
    record = probe.wait_for(uid)
    assert (record.phase, record.reason) == (Phase.FAILED, reason.value)
    assert words in probe.error(uid)["message"]
    assert probe.wait_for(probe.submit("users.echo", 1)).phase is Phase.SUCCEEDED


def test_an_exception_is_told_with_type_message_and_traceback(
    probe: LedgerProbe, worker: WorkerProcess
) -> None:
    uid = probe.submit("users.boom", "no such thing")
    record = probe.wait_for(uid)
    assert (record.phase, record.reason) == (Phase.FAILED, "TaskError")
    error = probe.error(uid)
    assert (error["type"], error["message"]) == ("KeyError", "'no such thing'")
    assert "in boom" in error["traceback"]


def test_an_unknown_task_fails_and_its_args_are_not_logged(probe: LedgerProbe, worker: WorkerProcess) -> None:
    uid = probe.submit("users.not_there", "a-secret-argument")
    record = probe.wait_for(uid)
    assert (record.phase, record.reason) == (Phase.FAILED, "TaskNotRegistered")
    assert "users.not_there" in probe.error(uid)["message"]
    assert "a-secret-argument" not in worker.output()


def test_args_and_results_are_not_logged(probe: LedgerProbe, worker: WorkerProcess) -> None:
    uid = probe.submit("users.echo", "a-secret-argument")
    probe.wait_for(uid)
    poll_until(
        lambda: f"[{uid}] succeeded" in worker.output(), seconds=5, what="the log line", state=worker.output
    )
    assert "a-secret-argument" not in worker.output()


def test_plain_celery_tasks_and_clients_work_as_ever(
    probe: LedgerProbe, worker: WorkerProcess, valkey_url: str
) -> None:
    with Celery("client", broker=valkey_url, backend=valkey_url) as client:
        plain = client.send_task("users.echo", args=["plain"])
        assert plain.get(timeout=10) == "plain"
        run = probe.submit("users.echo", "by kelery")
        assert client.AsyncResult(run).get(timeout=10) == "by kelery"
        failed = probe.submit("users.boom", "x")
        with pytest.raises(KeyError):
            client.AsyncResult(failed).get(timeout=10)
    assert "plain" in worker.output()


def test_a_task_with_a_request_class_of_its_own_runs_behind_the_gate(
    probe: LedgerProbe, worker: WorkerProcess
) -> None:
    uid = probe.submit("users.own_request", 7)
    assert probe.wait_for(uid).fence > 0
    assert probe.result(uid) == 7


def test_task_code_can_show_its_fence_and_a_later_run_has_a_higher_one(
    probe: LedgerProbe, worker: WorkerProcess, valkey_url: str
) -> None:
    fences = []
    for _ in range(3):
        uid = probe.submit("users.fence", key="k")
        assert probe.wait_for(uid).fence == probe.result(uid)
        fences.append(probe.result(uid))
    assert fences == sorted(set(fences))
    with Celery("client", broker=valkey_url, backend=valkey_url) as client:
        assert client.send_task("users.fence").get(timeout=10) is None


def test_progress_told_in_plain_celerys_way_is_shown(
    probe: LedgerProbe, worker: WorkerProcess, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    uid = probe.submit("users.tells_state", str(gate))
    poll_until(
        lambda: probe.record(uid).progress_json == '{"current": 3, "total": 9}',
        seconds=10,
        what="progress",
        state=lambda: probe.record(uid),
    )
    gate.touch()
    assert probe.wait_for(uid).phase is Phase.SUCCEEDED


def test_a_failed_task_is_tried_again_as_the_spec_says(
    probe: LedgerProbe, worker: WorkerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "starts"
    uid = probe.submit("users.flaky", str(file), 2, key="k", retry=Retry(max_attempts=3, backoff_seconds=0))
    record = probe.wait_for(uid)
    assert (record.phase, record.attempt) == (Phase.SUCCEEDED, 3)
    assert [attempt.reason for attempt in record.attempts] == ["Completed", "TaskError", "TaskError"]


def test_a_failed_task_keeps_its_slot_between_attempts(
    probe: LedgerProbe, worker: WorkerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "starts"
    first = probe.submit("users.flaky", str(file), 1, key="k", retry=Retry(max_attempts=2, backoff_seconds=1))
    second = probe.submit("users.echo", 1, key="k")
    poll_until(lambda: probe.record(first).reason == "RetryBackoff", seconds=10, what="the back-off")
    assert probe.record(second).phase is Phase.WAITING
    assert probe.wait_for(first).phase is Phase.SUCCEEDED
    ended, begun = probe.record(first).finished_at, probe.wait_for(second).started_at
    assert ended is not None
    assert begun is not None
    assert begun >= ended


def test_celerys_own_retry_keeps_the_slot_and_brings_its_new_args(
    probe: LedgerProbe, worker: WorkerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "seen"
    uid = probe.submit("users.retries_itself", str(file), 2, key="k")
    other = probe.submit("users.echo", 1, key="k")
    record = probe.wait_for(uid)
    assert (record.phase, record.attempt, probe.result(uid)) == (Phase.SUCCEEDED, 3, 2)
    assert file.read_text().split("\n")[:3] == ["0 0", "1 1", "2 2"]
    begun, ended = probe.wait_for(other).started_at, record.finished_at
    assert begun is not None
    assert ended is not None
    assert begun >= ended


def test_celerys_max_retries_rules_its_own_retries(
    probe: LedgerProbe, worker: WorkerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "starts"
    uid = probe.submit("users.autoretry", str(file))
    record = probe.wait_for(uid)
    assert (record.phase, record.reason, record.attempt) == (Phase.FAILED, "TaskError", 3)
    assert file.read_text().count("start") == 3


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_a_pool_that_cannot_kill_refuses_runs(pool: str, probe: LedgerProbe, start_worker: Any) -> None:
    start_worker("-P", pool)
    uid = probe.submit("users.echo", 1)
    record = probe.wait_for(uid)
    assert (record.phase, record.reason) == (Phase.FAILED, "PoolNotSupported")
    assert "-P prefork" in probe.error(uid)["message"]
