"""A worker reports itself, its queues and its slots for as long as it is there."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

from celery import Celery

from kelery.ledger import queries
from kelery.run.model import WorkerPresence
from kelery.run.phases import Phase
from tests.integration.worker.conftest import StartWorker
from tests.support.ledger_probe import LedgerProbe
from tests.support.polling import poll_until


def present(probe: LedgerProbe) -> list[WorkerPresence]:
    return probe.ledger.run(queries.workers())


def infos(probe: LedgerProbe) -> list[dict[str, Any]]:
    return [json.loads(worker.info_json) for worker in present(probe)]


def wait_for_queues(probe: LedgerProbe, *queues: str) -> None:
    poll_until(
        lambda: [info["queues"] for info in infos(probe)] == [list(queues)],
        seconds=15,
        what=f"a worker of {queues}",
        state=lambda: infos(probe),
    )


def test_a_worker_is_there_with_its_queues_and_slots_until_it_is_stopped(
    probe: LedgerProbe, start_worker: StartWorker
) -> None:
    worker = start_worker("-Q", "celery,reports", concurrency=3, lease=3)
    wait_for_queues(probe, "celery", "reports")
    [info] = infos(probe)
    assert (info["name"], info["slots"], info["pid"]) == ("w0@test", 3, worker.process.pid)
    assert {"started", "kelery", "celery", "host"} <= set(info)
    assert worker.terminate() == 0
    assert present(probe) == []


def test_a_worker_names_the_runs_that_it_has(probe: LedgerProbe, start_worker: StartWorker) -> None:
    start_worker(lease=3)
    uid = probe.submit("users.nap", 60)
    probe.wait_for(uid, Phase.RUNNING)
    assert [worker.claims for worker in present(probe)] == [(uid,)]


def test_a_queue_that_is_added_or_dropped_while_it_runs_is_seen(
    probe: LedgerProbe, start_worker: StartWorker, valkey_url: str
) -> None:
    start_worker(lease=3)
    wait_for_queues(probe, "celery")
    with Celery("client", broker=valkey_url) as client:
        client.control.add_consumer("reports")
        wait_for_queues(probe, "celery", "reports")
        client.control.cancel_consumer("celery")
        wait_for_queues(probe, "reports")


def test_a_worker_that_drains_takes_nothing_and_is_still_there(
    probe: LedgerProbe, start_worker: StartWorker, tmp_path: Path
) -> None:
    worker = start_worker(lease=3)
    notes = tmp_path / "notes"
    uid = probe.submit("users.nap", 6, str(notes))
    # A claim is not enough: SIGTERM hands back a run that no child has begun.
    poll_until(notes.exists, seconds=20, what="the task's first line")
    wait_for_queues(probe, "celery")
    worker.process.send_signal(signal.SIGTERM)
    wait_for_queues(probe)
    assert probe.wait_for(uid).phase is Phase.SUCCEEDED
    assert worker.process.wait(30) == 0
    assert present(probe) == []


def test_a_killed_worker_falls_silent_and_its_successor_is_another(
    probe: LedgerProbe, start_worker: StartWorker
) -> None:
    first = start_worker("-n", "same@test", lease=3)
    wait_for_queues(probe, "celery")
    first.kill()
    [killed] = present(probe)
    began = time.monotonic()
    start_worker("-n", "same@test", lease=3)
    poll_until(lambda: len(present(probe)) == 2, seconds=15, what="two workers", state=lambda: present(probe))
    poll_until(
        lambda: silence(probe, killed.worker) >= 1.5,
        seconds=15,
        what="silence",
        state=lambda: present(probe),
    )
    assert silence(probe, killed.worker) <= killed.silent_seconds + time.monotonic() - began + 1
    # Its successor keeps reporting.
    [successor] = [worker.worker for worker in present(probe) if worker.worker != killed.worker]
    before = silence(probe, successor)
    poll_until(lambda: silence(probe, successor) < before, seconds=30, what="a word", every=0.001)


def silence(probe: LedgerProbe, worker: str) -> float:
    """Seconds since that worker's last report."""
    [seconds] = [one.silent_seconds for one in present(probe) if one.worker == worker]
    return seconds


def test_that_worker_info_is_refused_does_not_disturb_the_renewals(
    probe: LedgerProbe, start_worker: StartWorker
) -> None:
    probe.client.set("kelery:workers", "no sorted set")
    worker = start_worker(lease=3)
    # Longer than the lease: without renewals the run would lose its claim.
    uid = probe.submit("users.nap", 5, key="k")
    assert probe.wait_for(uid).phase is Phase.SUCCEEDED, worker.output()
    assert probe.record(uid).attempts[0].fence == 1
    assert "unexpected error in the" not in worker.output()
