"""Task code, users' settings and Celery's own mechanisms must not break a guarantee."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from kelery.ledger import commands
from kelery.run.model import CancelMode, Retry
from kelery.run.phases import Phase
from tests.support.ledger_probe import LedgerProbe
from tests.support.polling import poll_until
from tests.support.worker_process import HERE, WorkerProcess

LEASE = 4.0


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def wait_for_line(file: Path) -> None:
    poll_until(lambda: lines(file), seconds=30, what=f"a line in {file.name}")


def cut_connections(probe: LedgerProbe) -> None:
    """Close all connections to Redis except the test's own."""
    for kind in ("pubsub", "normal"):
        probe.client.client_kill_filter(_type=kind, skipme=True)


def is_silent(file: Path) -> bool:
    before = lines(file)
    time.sleep(0.2)
    return lines(file) == before


@pytest.mark.parametrize("what", ["lost", "limit", "terminated", "ignore"])
def test_errors_that_celery_raises_too_are_a_tasks_own_when_it_raises_them(
    what: str, probe: LedgerProbe, worker: WorkerProcess
) -> None:
    uid = probe.submit("users.raises", what, key="k")
    innocent = probe.submit("users.nap", 1, key="k")
    record = probe.wait_for(uid)
    assert (record.phase, record.reason) == (Phase.FAILED, "TaskError"), probe.error(uid)
    assert probe.wait_for(innocent).phase is Phase.SUCCEEDED


def test_a_task_applied_inside_a_run_does_not_hide_the_runs_result(
    probe: LedgerProbe, worker: WorkerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "notes"
    uid = probe.submit("users.applies", str(file), retry=Retry(max_attempts=3, backoff_seconds=0))
    assert probe.wait_for(uid).phase is Phase.SUCCEEDED
    assert probe.result(uid) == "applied 1"
    assert lines(file) == ["begin"]


def test_celerys_retry_may_bring_what_only_celerys_json_can_say(
    probe: LedgerProbe, worker: WorkerProcess
) -> None:
    uid = probe.submit("users.retries_with_a_date")
    assert probe.wait_for(uid).phase is Phase.SUCCEEDED, probe.error(uid)
    assert probe.result(uid) == "datetime"


def test_a_progress_that_cannot_be_shown_does_not_fail_the_task(
    probe: LedgerProbe, worker: WorkerProcess
) -> None:
    uid = probe.submit("users.tells_nonsense")
    assert probe.wait_for(uid).phase is Phase.SUCCEEDED
    assert probe.result(uid) == "went on"


def test_a_claim_taken_away_while_its_body_executes_does_not_disturb_the_next(
    probe: LedgerProbe, start_worker: Any, tmp_path: Path
) -> None:
    """The same worker may claim the run again before it learns that the first claim is gone."""
    start_worker(concurrency=2)
    file = tmp_path / "ticks"
    retry = Retry(max_attempts=2, backoff_seconds=0)
    uid = probe.submit("users.ticks", str(file), 3, key="k", retry=retry)
    wait_for_line(file)
    lease = probe.ledger.run(commands.tick(leases=True)).leases[uid]
    while not probe.ledger.run(commands.reclaim(uid, lease)):
        lease = probe.ledger.run(commands.tick(leases=True)).leases[uid]
    record = probe.wait_for(uid)
    assert (record.phase, record.attempt) == (Phase.SUCCEEDED, 2)
    assert [attempt.reason for attempt in record.attempts] == ["Completed", "WorkerLost"]


@pytest.mark.parametrize("pool_forgets", ["", "yes"])
def test_a_run_whose_connection_breaks_before_its_child_has_answered_ends_all_the_same(
    pool_forgets: str, probe: LedgerProbe, start_worker: Any, tmp_path: Path
) -> None:
    """A child is not scheduled for a moment, just while the connections break.

    Celery's pool would forget the job. If the plug-in cannot prevent that, the run is watched to its end.
    """
    worker = start_worker(concurrency=1, env={"USERS_POOL_FORGETS": pool_forgets})
    assert probe.wait_for(probe.submit("users.echo", 1)).phase is Phase.SUCCEEDED
    [child] = worker.children()
    os.kill(child, signal.SIGSTOP)
    file = tmp_path / "notes"
    uid = probe.submit("users.nap", 1, str(file), key="k")
    probe.wait_for(uid, Phase.RUNNING)
    time.sleep(0.3)
    cut_connections(probe)
    time.sleep(2)
    os.kill(child, signal.SIGCONT)
    record = probe.wait_for(uid, seconds=30)
    assert record.phase is Phase.SUCCEEDED, worker.output()
    assert ("Celery's pool has lost it" in worker.output()) is bool(pool_forgets)
    assert sum("begin" in line for line in lines(file)) == 1
    assert probe.wait_for(probe.submit("users.echo", 1, key="k")).phase is Phase.SUCCEEDED


def test_a_name_service_that_hangs_does_not_keep_a_lost_lease_from_being_noticed(
    probe: LedgerProbe, start_worker: Any, tmp_path: Path, valkey_url: str
) -> None:
    hangs = tmp_path / "hangs"
    url = valkey_url.replace("127.0.0.1", "localhost")
    worker = start_worker(url=url, lease=LEASE, env={"USERS_NAMES_HANG": str(hangs)})
    file = tmp_path / "ticks"
    probe.submit("users.ticks", str(file), 60, key="k")
    wait_for_line(file)
    hangs.touch()
    cut_connections(probe)
    # After 0.9 of a lease, another worker may get the key.
    poll_until(lambda: is_silent(file), seconds=LEASE * 0.9, what="the end of the body", state=worker.output)
    hangs.unlink()


def test_a_worker_without_the_plug_in_does_not_run_a_run(
    probe: LedgerProbe, start_worker: Any, valkey_url: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "celery", "-A", "user_app", "worker", "-c", "1", "-n", "plain@test"]
    environment = os.environ | {"USERS_BROKER": valkey_url, "PYTHONPATH": str(HERE)}
    log = (tmp_path / "plain.log").open("wb")
    plain = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=tmp_path)
    try:
        with Celery("client", broker=valkey_url, backend=valkey_url) as client:
            assert client.send_task("users.echo", args=[1]).get(timeout=30) == 1
        file = tmp_path / "notes"
        uid = probe.submit("users.nap", 0, str(file))
        poll_until(lambda: probe.client.llen("celery") == 0, seconds=10, what="the plain worker to take it")
        time.sleep(0.5)
        assert not file.exists()
        assert probe.record(uid).phase is Phase.ADMITTED
    finally:
        plain.kill()
        plain.wait()
        log.close()
    start_worker()
    assert probe.wait_for(uid, seconds=30).phase is Phase.SUCCEEDED
    assert sum("begin" in line for line in lines(file)) == 1


def test_importing_the_package_alone_does_not_make_a_worker_ours(
    probe: LedgerProbe, valkey_url: str, tmp_path: Path
) -> None:
    """Apps import it for `progress`; without -I their worker is a plain one, as in the test above."""
    script = (
        "import user_app, kelery_worker; from celery.worker import WorkController; "
        "print(WorkController(app=user_app.app).app.steps)"
    )
    environment = os.environ | {"USERS_BROKER": valkey_url, "PYTHONPATH": str(HERE)}
    shown = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert "KeeperStep" not in shown.stdout


def test_where_sigterm_means_sigquit_a_cancelled_task_still_cleans_up(
    probe: LedgerProbe, start_worker: Any, tmp_path: Path
) -> None:
    start_worker(env={"REMAP_SIGTERM": "SIGQUIT"})
    file = tmp_path / "notes"
    uid = probe.submit("users.nap", 600, str(file), cancel_grace_period_seconds=300)
    wait_for_line(file)
    probe.cancel(uid)
    # It ends long before its grace period does.
    assert probe.wait_for(uid, seconds=60).phase is Phase.CANCELLED
    assert "finally" in lines(file)


@pytest.mark.parametrize("plain", [True, False])
def test_a_cancel_leaves_alone_what_earlier_tasks_of_the_child_left_behind(
    plain: bool, probe: LedgerProbe, start_worker: Any, valkey_url: str, tmp_path: Path
) -> None:
    start_worker(concurrency=1)
    left = tmp_path / "left"
    if plain:
        with Celery("client", broker=valkey_url, backend=valkey_url) as client:
            client.send_task("users.leaves_behind", args=[str(left)]).get(timeout=10)
    else:
        probe.wait_for(probe.submit("users.leaves_behind", str(left)))
    time.sleep(0.1)
    file = tmp_path / "notes"
    uid = probe.submit("users.nap", 60, str(file))
    wait_for_line(file)
    probe.cancel(uid, CancelMode.FORCE)
    assert probe.wait_for(uid).phase is Phase.CANCELLED
    assert not is_silent(left)
    subprocess.run(["pkill", "-f", f"echo tick >> '{left}'"], check=False)


def test_a_task_that_ends_while_redis_is_full_succeeds(
    probe: LedgerProbe, worker: WorkerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "notes"
    uid = probe.submit("users.nap", 1, str(file), key="k")
    # Not earlier: Celery itself records the start in its result backend, which is the same Redis.
    wait_for_line(file)
    probe.client.config_set("maxmemory", "1")
    try:
        assert probe.wait_for(uid).phase is Phase.SUCCEEDED
    finally:
        probe.client.config_set("maxmemory", "0")


def test_an_app_that_does_not_take_json_is_named_and_the_args_are_not_logged(
    probe: LedgerProbe, start_worker: Any
) -> None:
    worker = start_worker(env={"USERS_ACCEPTS": "yaml"})
    uid = probe.submit("users.echo", "a-secret-argument")
    record = probe.wait_for(uid)
    assert (record.phase, record.reason) == (Phase.FAILED, "MessageRefused")
    assert "accept_content" in probe.error(uid)["message"]
    assert "a-secret-argument" not in worker.output()


def test_celerys_revoke_has_no_say_over_a_run(
    probe: LedgerProbe, worker: WorkerProcess, valkey_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "notes"
    uid = probe.submit("users.nap", 2, str(file))
    wait_for_line(file)
    with Celery("client", broker=valkey_url, backend=valkey_url) as client:
        client.control.revoke(uid, terminate=True)
    assert probe.wait_for(uid).phase is Phase.SUCCEEDED


def test_a_claim_of_a_record_that_is_gone_does_not_stop_the_renewals(
    probe: LedgerProbe, start_worker: Any, tmp_path: Path
) -> None:
    start_worker(lease=LEASE)
    file = tmp_path / "ticks"
    uid = probe.submit("users.ticks", str(file), 60, key="k")
    wait_for_line(file)
    probe.client.sadd(f"kelery:claims:{probe.record(uid).worker}", "ghost")
    time.sleep(LEASE * 1.5)
    assert probe.record(uid).phase is Phase.RUNNING
    assert not is_silent(file)


def test_a_log_that_nobody_reads_keeps_no_lease_from_being_renewed(
    probe: LedgerProbe, start_worker: Any, valkey_url: str, tmp_path: Path
) -> None:
    """A full pipe blocks the thread that logs, and then every other thread that wants to log."""
    command = [sys.executable, "-m", "celery", "-A", "user_app", "worker", "-I", "kelery_worker", "-c", "2"]
    command += ["-l", "INFO"]
    environment = os.environ | {
        "USERS_BROKER": valkey_url,
        "PYTHONPATH": str(HERE),
        "KELERY_LEASE_SECONDS": str(LEASE),
    }
    reader, writer = os.pipe()
    stuck = subprocess.Popen(command, env=environment, stdout=writer, stderr=writer, cwd=tmp_path)
    try:
        ticking, other = tmp_path / "ticking", tmp_path / "other"
        ticking_uid = probe.submit("users.ticks", str(ticking), 60, key="a")
        other_uid = probe.submit("users.ticks", str(other), 60, True, key="b")
        wait_for_line(ticking)
        wait_for_line(other)
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * 512)
        os.set_blocking(writer, True)
        probe.cancel(other_uid, CancelMode.FORCE)
        assert probe.wait_for(other_uid).phase is Phase.CANCELLED
        assert is_silent(other)
        deadline = time.monotonic() + LEASE * 1.5
        tick = probe.ticker(stand_still=LEASE * 0.9)
        while time.monotonic() < deadline:
            tick()
            time.sleep(0.1)
        assert probe.record(ticking_uid).phase is Phase.RUNNING
        assert not is_silent(ticking)
    finally:
        stuck.kill()
        stuck.wait()
        os.close(writer)
        os.close(reader)
