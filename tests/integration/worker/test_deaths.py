"""Dying processes, lost or doubled messages, no Redis: no run is lost, none runs twice, no slot leaks."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from kelery.run.model import Retry
from kelery.run.phases import Phase, Reason
from kelery_dev.stack.valkey import ValkeyServer
from tests.support.ledger_probe import LedgerProbe
from tests.support.polling import poll_until
from tests.support.worker_process import WorkerProcess

#: Short, to keep the tests short; one test also uses the default.
LEASE = 4.0


def wait_for_lines(file: Path, count: int, *, seconds: float = 30) -> None:
    poll_until(
        lambda: file.exists() and len(file.read_text().splitlines()) >= count,
        seconds=seconds,
        what=f"{count} lines",
    )


def test_a_child_that_dies_fails_its_run_before_celery_would(
    probe: LedgerProbe, worker: WorkerProcess
) -> None:
    uid = probe.submit("users.dies", key="k")
    successor = probe.submit("users.echo", 1, key="k")
    record = probe.wait_for(uid)
    assert (record.phase, record.reason) == (Phase.FAILED, "WorkerLost")
    assert record.started_at is not None
    assert record.finished_at is not None
    # Celery itself waits for ten seconds before it reports the death. tests/perf/test_promised_times.py,
    # which runs alone, shows that Kelery needs less than a second.
    assert record.finished_at - record.started_at < 10_000_000
    assert probe.wait_for(successor).phase is Phase.SUCCEEDED


def test_a_child_that_dies_is_retried_if_the_spec_says_so(
    probe: LedgerProbe, worker: WorkerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "starts"
    uid = probe.submit("users.dies", str(file), retry=Retry(max_attempts=3, backoff_seconds=0))
    record = probe.wait_for(uid)
    assert (record.phase, record.reason, record.attempt) == (Phase.FAILED, "WorkerLost", 3)
    assert file.read_text().count("start") == 3
    # Celery notices the deaths later; it must not start the task again.
    time.sleep(1)
    assert file.read_text().count("start") == 3


def test_a_retry_for_errors_only_does_not_follow_a_death(probe: LedgerProbe, worker: WorkerProcess) -> None:
    uid = probe.submit(
        "users.dies", retry=Retry(max_attempts=3, backoff_seconds=0, reasons=(Reason.TASK_ERROR,))
    )
    record = probe.wait_for(uid)
    assert (record.reason, record.attempt) == ("WorkerLost", 1)


def test_the_subprocess_of_a_child_that_died_is_gone(
    probe: LedgerProbe, worker: WorkerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "ticks"
    uid = probe.submit("users.spawns", str(file), 60, key="k")
    wait_for_lines(file, 3)
    for child in worker.children():
        os.kill(child, signal.SIGKILL)
    assert probe.wait_for(uid).reason == "WorkerLost"
    before = file.read_text()
    time.sleep(0.3)
    assert file.read_text() == before


def test_a_killed_workers_slot_goes_on_and_its_run_is_retried(
    probe: LedgerProbe, start_worker: Any, tmp_path: Path
) -> None:
    victim, survivor = start_worker(lease=LEASE, concurrency=1), None
    file = tmp_path / "ticks"
    uid = probe.submit("users.spawns", str(file), 2, key="k", retry=Retry(max_attempts=2, backoff_seconds=0))
    lost = probe.submit("users.nap", 60, key="other")
    waiting = probe.submit("users.echo", 1, key="other")
    wait_for_lines(file, 3)
    victim.kill()
    survivor = start_worker(lease=LEASE)
    before = file.read_text()
    time.sleep(0.3)
    assert file.read_text() == before, "the reaper did not end what the killed worker's task had started"
    poll_until(
        lambda: probe.record(uid).attempt == 2, seconds=15, what="the second attempt", state=survivor.output
    )
    # The subprocess never ends by itself, so the second attempt fails when its own wait times out.
    assert probe.wait_for(uid).reason == "TaskError"
    assert probe.wait_for(lost, Phase.RUNNING).phase is Phase.RUNNING
    assert probe.record(waiting).phase is Phase.WAITING


@pytest.mark.parametrize("lease", [LEASE, pytest.param(15.0, marks=pytest.mark.thorough)])
def test_without_retry_a_killed_workers_run_fails_and_the_next_starts(
    probe: LedgerProbe, start_worker: Any, lease: float
) -> None:
    """The slot is free within one lease of the kill, but not while the worker could still renew."""
    victim = start_worker(lease=lease, concurrency=1)
    uid = probe.submit("users.nap", 60, key="k")
    waiting = probe.submit("users.echo", 1, key="k")
    probe.wait_for(uid, Phase.RUNNING)
    tick = probe.ticker(stand_still=lease * 0.9)
    time.sleep(lease / 5)
    killed_at = time.time()
    victim.kill()
    record = probe.wait_for(uid, seconds=lease + 10, tick=tick)
    assert (record.phase, record.reason) == (Phase.FAILED, "WorkerLost")
    assert record.finished_at is not None
    # Half a second for the observer's own interval.
    assert lease * 2 / 3 < record.finished_at / 1e6 - killed_at < lease + 0.5
    assert probe.record(waiting).phase is Phase.ADMITTED
    start_worker()
    assert probe.wait_for(waiting).phase is Phase.SUCCEEDED


def test_a_frozen_worker_is_fenced_off_and_kills_its_run_when_it_wakes(
    probe: LedgerProbe, start_worker: Any, tmp_path: Path
) -> None:
    victim = start_worker(lease=LEASE, concurrency=1)
    file = tmp_path / "ticks"
    uid = probe.submit("users.ticks", str(file), 60, key="k")
    wait_for_lines(file, 3)
    frozen = [victim.process.pid, *victim.children()]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    record = probe.wait_for(uid, seconds=20, tick=probe.ticker(stand_still=LEASE * 0.9))
    assert record.reason == "WorkerLost"
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    poll_until(lambda: "killing it" in victim.output(), seconds=10, what="the fence", state=victim.output)
    poll_until(lambda: is_silent(file), seconds=10, what="silence")
    assert probe.record(uid).reason == "WorkerLost"
    assert probe.wait_for(probe.submit("users.echo", 1, key="k")).phase is Phase.SUCCEEDED


def is_silent(file: Path) -> bool:
    before = file.read_text()
    time.sleep(0.2)
    return file.read_text() == before


def test_sigterm_lets_running_tasks_end_and_takes_no_new_ones(
    probe: LedgerProbe, start_worker: Any, tmp_path: Path
) -> None:
    first = start_worker(concurrency=1)
    gate = tmp_path / "gate"
    running = probe.submit("users.tells_state", str(gate))
    probe.wait_for(running, Phase.RUNNING)
    queued = [probe.submit("users.echo", number) for number in range(3)]
    first.process.send_signal(signal.SIGTERM)
    poll_until(lambda: "Warm shutdown" in first.output(), seconds=30, what="the shutdown", state=first.output)
    gate.touch()
    assert first.process.wait(60) == 0
    assert probe.record(running).phase is Phase.SUCCEEDED
    assert {probe.record(uid).phase for uid in queued} == {Phase.ADMITTED}
    start_worker(concurrency=1)
    for uid in queued:
        assert probe.wait_for(uid, seconds=30).phase is Phase.SUCCEEDED
        assert probe.record(uid).attempt == 1
    assert probe.nothing_is_held()


def test_what_does_not_end_within_the_drains_time_is_lost_and_retried(
    probe: LedgerProbe, start_worker: Any, tmp_path: Path
) -> None:
    first = start_worker(env={"KELERY_DRAIN_SECONDS": "1"})
    file = tmp_path / "ticks"
    uid = probe.submit(
        "users.ticks", str(file), 60, True, key="k", retry=Retry(max_attempts=2, backoff_seconds=60)
    )
    wait_for_lines(file, 1)
    # The worker ends although the body would run for a minute.
    assert first.terminate(seconds=50) == 0
    record = probe.record(uid)
    assert (record.phase, record.reason, record.attempt) == (Phase.ADMITTED, "RetryBackoff", 2)
    assert record.attempts[0].reason == "WorkerLost"
    assert is_silent(file)


def test_a_cold_shutdown_settles_what_it_kills(probe: LedgerProbe, start_worker: Any, tmp_path: Path) -> None:
    worker = start_worker()
    file = tmp_path / "ticks"
    uid = probe.submit("users.ticks", str(file), 60, True, key="k")
    wait_for_lines(file, 1)
    worker.send(signal.SIGQUIT)
    record = probe.wait_for(uid)
    assert (record.phase, record.reason) == (Phase.FAILED, "WorkerLost")
    assert is_silent(file)
    assert probe.nothing_is_held()


def test_a_doubled_message_starts_nothing(probe: LedgerProbe, start_worker: Any, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    uids = [probe.submit("users.nap", 0.3, str(file)) for _ in range(3)]
    for message in probe.client.lrange("celery", 0, -1):
        probe.client.lpush("celery", message, message)
    start_worker(concurrency=4)
    for uid in uids:
        assert probe.wait_for(uid).phase is Phase.SUCCEEDED
    assert file.read_text().count("begin") == 3
    assert {probe.record(uid).attempt for uid in uids} == {1}


def test_the_broker_hears_of_a_message_while_the_body_executes(
    probe: LedgerProbe, start_worker: Any, tmp_path: Path
) -> None:
    """This app's tasks acknowledge late, with which Celery redelivers lost tasks; Kelery does not need it."""
    gate = tmp_path / "gate"
    start_worker()
    uid = probe.submit("users.tells_state", str(gate))
    poll_until(lambda: probe.record(uid).progress_json, seconds=30, what="the body")
    poll_until(lambda: probe.client.hlen("unacked") == 0, seconds=30, what="the acknowledgement")
    assert probe.record(uid).phase is Phase.RUNNING
    gate.touch()
    assert probe.wait_for(uid).phase is Phase.SUCCEEDED


def test_a_message_that_outlives_its_worker_starts_nothing(
    probe: LedgerProbe, start_worker: Any, tmp_path: Path
) -> None:
    """If a worker dies between its claim and the acknowledgement, the message is redelivered."""
    file = tmp_path / "notes"
    worker = start_worker(concurrency=1)
    assert probe.wait_for(probe.submit("users.echo", 1)).phase is Phase.SUCCEEDED
    [child] = worker.children()
    os.kill(child, signal.SIGSTOP)
    uid = probe.submit("users.nap", 0.1, str(file), key="k", retry=Retry(max_attempts=2))
    probe.wait_for(uid, Phase.RUNNING)
    poll_until(lambda: probe.client.hlen("unacked") == 1, seconds=30, what="the message")
    worker.kill()
    for message, _, _ in map(json.loads, probe.client.hvals("unacked")):
        probe.client.lpush("celery", json.dumps(message))
    start_worker()
    record = probe.wait_for(uid, seconds=40)
    assert (record.phase, record.attempt) == (Phase.SUCCEEDED, 2)
    assert file.read_text().count("begin") == 1


def test_a_claim_whose_body_has_begun_does_not_begin_again(
    probe: LedgerProbe, worker: WorkerProcess, tmp_path: Path
) -> None:
    """If a child dies before it confirms a job, the pool sends the job again, perhaps after its start."""
    file = tmp_path / "notes"
    record = probe.wait_for(probe.submit("users.begun_elsewhere", str(file), key="k"))
    assert (record.phase, record.reason) == (Phase.FAILED, "WorkerLost")
    assert not file.exists()
    assert probe.wait_for(probe.submit("users.echo", 1, key="k")).phase is Phase.SUCCEEDED


def test_a_lost_message_is_rung_again(probe: LedgerProbe, worker: WorkerProcess) -> None:
    probe.client.client_pause(600)
    uid = probe.submit("users.echo", 1)
    # The worker may take the message first; it is lost only if nobody claims it.
    probe.client.delete("celery")
    record = probe.wait_for(uid, seconds=30)
    assert record.phase is Phase.SUCCEEDED


def test_broken_connections_in_the_middle_of_a_task_do_not_start_it_twice(
    probe: LedgerProbe, start_worker: Any, tmp_path: Path
) -> None:
    start_worker()
    start_worker()
    file = tmp_path / "notes"
    uid = probe.submit("users.nap", 3, str(file), key="k")
    wait_for_lines(file, 1)
    for _ in range(3):
        probe.client.client_kill_filter(_type="normal", skipme=True)
        time.sleep(0.5)
    assert probe.wait_for(uid).phase is Phase.SUCCEEDED
    assert file.read_text().count("begin") == 1


def test_a_short_outage_of_redis_loses_nothing(
    own_valkey: ValkeyServer, start_worker: Any, tmp_path: Path
) -> None:
    probe = LedgerProbe(own_valkey.url)
    start_worker(url=own_valkey.url)
    file = tmp_path / "notes"
    across = probe.submit("users.nap", 4, str(file), key="a")
    ends_meanwhile = probe.submit("users.nap", 1.5, str(file), key="b")
    wait_for_lines(file, 2)
    own_valkey.kill()
    time.sleep(3)
    own_valkey.start()
    for uid in (across, ends_meanwhile):
        assert probe.wait_for(uid, seconds=40).phase is Phase.SUCCEEDED
        assert probe.record(uid).attempt == 1
    assert file.read_text().count("begin") == 2
    assert probe.wait_for(probe.submit("users.echo", 1), seconds=40).phase is Phase.SUCCEEDED


def test_keyed_work_ends_when_its_lease_cannot_be_renewed_and_other_work_goes_on(
    own_valkey: ValkeyServer, start_worker: Any, tmp_path: Path
) -> None:
    probe = LedgerProbe(own_valkey.url)
    worker = start_worker(url=own_valkey.url, lease=LEASE)
    keyed, free = tmp_path / "keyed", tmp_path / "free"
    keyed_uid = probe.submit("users.ticks", str(keyed), 60, key="k")
    free_uid = probe.submit("users.ticks", str(free), 9)
    wait_for_lines(keyed, 1)
    wait_for_lines(free, 1)
    own_valkey.kill()
    stopped_at = time.monotonic()
    poll_until(
        lambda: is_silent(keyed),
        seconds=LEASE * 0.9 + 1.5,
        what="the end of the keyed run",
        state=worker.output,
    )
    assert time.monotonic() - stopped_at > LEASE / 2
    assert not is_silent(free)
    own_valkey.start()
    assert probe.wait_for(keyed_uid, seconds=40).reason == "WorkerLost"
    assert probe.wait_for(free_uid, seconds=40).phase is Phase.SUCCEEDED
