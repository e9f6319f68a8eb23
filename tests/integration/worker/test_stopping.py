"""Cancel and time limits: a stopped run no longer executes once its phase says so (A7)."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from kelery.run.model import CancelMode
from kelery.run.phases import Phase
from kelery_dev.stack.valkey import ValkeyServer
from tests.integration.worker.conftest import StartWorker
from tests.support.ledger_probe import LedgerProbe
from tests.support.polling import poll_until
from tests.support.worker_process import WorkerProcess


def wait_for_text(file: Path, text: str) -> None:
    poll_until(
        lambda: file.exists() and text in file.read_text(), seconds=30, what=f"{text!r} in {file.name}"
    )


def assert_silent(file: Path) -> None:
    """Nothing writes to the file any more."""
    before = file.read_text()
    time.sleep(0.3)
    assert file.read_text() == before


def test_a_cancelled_task_gets_sigterm_and_may_clean_up(
    probe: LedgerProbe, worker: WorkerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "notes"
    uid = probe.submit("users.nap", 60, str(file), key="k")
    wait_for_text(file, "begin")
    probe.cancel(uid)
    record = probe.wait_for(uid)
    assert (record.phase, record.reason, record.error_json) == (Phase.CANCELLED, "CancelledByUser", "")
    assert "finally" in file.read_text()


def test_a_task_that_ignores_sigterm_is_killed_after_its_grace(
    probe: LedgerProbe, worker: WorkerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "ticks"
    uid = probe.submit("users.ticks", str(file), 60, True, key="k", cancel_grace_period_seconds=1)
    wait_for_text(file, "tick")
    asked = time.monotonic()
    probe.cancel(uid)
    assert probe.wait_for(uid, Phase.CANCELLING, Phase.CANCELLED).phase is Phase.CANCELLING
    assert probe.wait_for(uid).phase is Phase.CANCELLED
    assert time.monotonic() - asked >= 1
    assert_silent(file)


def test_force_does_not_wait_for_the_grace(probe: LedgerProbe, worker: WorkerProcess, tmp_path: Path) -> None:
    file = tmp_path / "ticks"
    uid = probe.submit("users.ticks", str(file), 60, True, cancel_grace_period_seconds=600)
    wait_for_text(file, "tick")
    probe.cancel(uid)
    probe.wait_for(uid, Phase.CANCELLING)
    probe.cancel(uid, CancelMode.FORCE)
    assert probe.wait_for(uid).phase is Phase.CANCELLED
    assert_silent(file)


@pytest.mark.parametrize("mode", list(CancelMode))
def test_a_cancelled_tasks_subprocesses_are_gone_too(
    mode: CancelMode, probe: LedgerProbe, worker: WorkerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "ticks"
    uid = probe.submit("users.spawns", str(file), 60, key="k", cancel_grace_period_seconds=1)
    wait_for_text(file, "tick")
    probe.cancel(uid, mode)
    assert probe.wait_for(uid).phase is Phase.CANCELLED
    assert_silent(file)


def test_a_task_that_returns_although_it_was_cancelled_has_succeeded(
    probe: LedgerProbe, worker: WorkerProcess
) -> None:
    uid = probe.submit("users.swallows_sigterm", 60)
    probe.wait_for(uid, Phase.RUNNING)
    time.sleep(0.3)
    probe.cancel(uid)
    assert probe.wait_for(uid).phase is Phase.SUCCEEDED
    assert probe.result(uid) == "swallowed"


def test_the_slot_of_a_cancelled_run_goes_to_the_next(
    probe: LedgerProbe, worker: WorkerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "ticks"
    first = probe.submit("users.ticks", str(file), 60, True, key="k", cancel_grace_period_seconds=1)
    second = probe.submit("users.echo", 1, key="k")
    wait_for_text(file, "tick")
    probe.cancel(first)
    record = probe.wait_for(second)
    assert record.phase is Phase.SUCCEEDED
    assert record.started_at is not None
    assert record.started_at >= (probe.record(first).finished_at or 0)
    assert_silent(file)


@pytest.mark.parametrize("step", [2, pytest.param(1, marks=pytest.mark.thorough)])
def test_a_cancel_hits_only_its_own_run(
    probe: LedgerProbe, start_worker: Any, tmp_path: Path, step: int
) -> None:
    """One child executes runs in turn; a cancel at about the end of one must not hit the next."""
    worker = start_worker(concurrency=1)
    for milliseconds in range(0, 16, step):
        victim = probe.submit("users.nap", 0.05)
        successor = probe.submit("users.nap", 0.1)
        probe.wait_for(victim, Phase.RUNNING, Phase.SUCCEEDED)
        time.sleep(0.04 + 0.001 * milliseconds)
        probe.cancel(victim, CancelMode.FORCE)
        assert probe.wait_for(successor).phase is Phase.SUCCEEDED, worker.output()
        assert probe.wait_for(victim).phase in (Phase.CANCELLED, Phase.SUCCEEDED)


def test_an_attempt_that_takes_too_long_is_stopped(
    probe: LedgerProbe, worker: WorkerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "ticks"
    uid = probe.submit("users.ticks", str(file), 60, timeout_seconds=1)
    record = probe.wait_for(uid)
    assert (record.phase, record.reason) == (Phase.FAILED, "Timeout")
    assert "1 second" in probe.error(uid)["message"]
    assert_silent(file)


def test_a_time_limit_of_celerys_own_counts_as_timeout(probe: LedgerProbe, worker: WorkerProcess) -> None:
    record = probe.wait_for(probe.submit("users.limited", 60))
    assert (record.phase, record.reason) == (Phase.FAILED, "Timeout")


def test_plain_clients_see_a_timeout_as_failure(
    probe: LedgerProbe, worker: WorkerProcess, valkey_url: str
) -> None:
    from celery import Celery

    uid = probe.submit("users.nap", 60, timeout_seconds=1)
    probe.wait_for(uid)
    with Celery("client", broker=valkey_url, backend=valkey_url) as client:
        poll_until(
            lambda: client.AsyncResult(uid).state == "FAILURE",
            seconds=10,
            what="FAILURE",
            state=lambda: client.AsyncResult(uid).state,
        )


def test_cancel_before_the_worker_is_there_means_that_it_never_starts(
    probe: LedgerProbe, start_worker: Any, tmp_path: Path
) -> None:
    file = tmp_path / "notes"
    uid = probe.submit("users.nap", 1, str(file))
    probe.cancel(uid)
    assert probe.record(uid).phase is Phase.CANCELLED
    start_worker()
    assert probe.wait_for(probe.submit("users.echo", 1)).phase is Phase.SUCCEEDED
    assert not file.exists()


def test_a_worker_that_drains_does_not_wait_for_a_ledger_that_is_gone(
    start_worker: StartWorker, tmp_path: Path
) -> None:
    """As in `helm uninstall`: a run without a key goes on without Redis, but its outcome would be lost."""
    file = tmp_path / "ticks"
    with ValkeyServer() as valkey:
        worker = start_worker(url=valkey.url, lease=3)
        LedgerProbe(valkey.url).submit("users.ticks", str(file), 600, True)
        wait_for_text(file, "tick")
        valkey.kill()
        worker.process.send_signal(signal.SIGTERM)
        stopped = time.monotonic()
        # Four leases, and Celery's attempts to close its connections to the missing broker.
        worker.process.wait(60)
    assert time.monotonic() - stopped >= 12
    assert_silent(file)
