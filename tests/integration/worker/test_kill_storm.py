"""Workers and children are killed repeatedly under load; then the outcomes are counted.

The oracle is not the ledger: each task takes its key's lock file without waiting. The kernel refuses a second
holder, and frees the lock the moment the first one dies, so every overlap is detected.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kelery.run.model import Record, Retry
from kelery.run.phases import Phase, Reason
from tests.support.ledger_probe import LedgerProbe
from tests.support.polling import poll_until
from tests.support.worker_process import WorkerProcess

LEASE = 4.0
KEYS = 6


class Storm:
    """Failures of workers and messages; each is counted."""

    def __init__(self, probe: LedgerProbe, start: Callable[[], WorkerProcess], seed: int) -> None:
        self.probe = probe
        self.start = start
        self.random = random.Random(seed)
        self.workers = [start(), start()]
        self.happened: Counter[str] = Counter()

    def strike(self) -> None:
        """Cause one failure at random."""
        bad_thing = self.random.choice(
            [
                self.kill_worker,
                self.kill_child,
                self.kill_child,
                self.freeze,
                self.cut,
                self.double,
                self.lose,
            ]
        )
        self.happened[bad_thing.__name__] += bad_thing()

    def deaths(self) -> int:
        """How many workers and children were killed."""
        return self.happened["kill_worker"] + self.happened["kill_child"]

    def kill_worker(self) -> int:
        victim = self.random.randrange(len(self.workers))
        self.workers[victim].kill()
        self.workers[victim] = self.start()
        return 1

    def kill_child(self) -> int:
        children = self.random.choice(self.workers).children()
        if not children:
            return 0
        os.kill(self.random.choice(children), signal.SIGKILL)
        return 1

    def freeze(self) -> int:
        """Freeze a worker and its children, for less than its lease."""
        worker = self.random.choice(self.workers)
        frozen = [worker.process.pid, *worker.children()]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        # Its children hold their locks while frozen, so a successor that starts too early is detected.
        time.sleep(self.random.uniform(0.2, LEASE / 3))
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        return 1

    def cut(self) -> int:
        """Close every connection to Redis at once."""
        return int(bool(self.probe.client.client_kill_filter(_type="normal", skipme=True)))

    def double(self) -> int:
        message = self.probe.client.lindex("celery", 0)
        if message is None:
            return 0
        self.probe.client.rpush("celery", message, message)
        return 1

    def lose(self) -> int:
        return int(self.probe.client.rpop("celery") is not None)


@pytest.mark.parametrize(
    ("runs", "storm_seconds", "deaths"),
    [(60, 18.0, 3), pytest.param(150, 45.0, 5, marks=pytest.mark.thorough)],
)
def test_nothing_overlaps_and_nothing_is_lost_however_the_workers_die(
    probe: LedgerProbe, start_worker: Any, tmp_path: Path, runs: int, storm_seconds: float, deaths: int
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    folder = tmp_path / "locks"
    folder.mkdir()
    storm = Storm(probe, lambda: start_worker(lease=LEASE, concurrency=3), seed)
    # TaskError too: Celery fails a task before its body if a cut breaks its connection to the result backend,
    # which is the same Redis. A task that detects an overlap records it before it fails.
    retry = Retry(
        max_attempts=100,
        backoff_seconds=0,
        max_backoff_seconds=0,
        reasons=(Reason.WORKER_LOST, Reason.TASK_ERROR),
    )
    uids = []
    for number in range(runs):
        key = f"k{number % KEYS}"
        seconds = storm.random.uniform(0.01, 0.6)
        uids.append(probe.submit("users.exclusive", str(folder), key, seconds, key=key, retry=retry))

    until = time.monotonic() + storm_seconds
    # At least `deaths` kills happen, even if all runs end earlier.
    while storm.deaths() < deaths or (
        time.monotonic() < until and not all(probe.record(uid).phase.is_final for uid in uids[-KEYS:])
    ):
        storm.strike()
        time.sleep(storm.random.uniform(0.1, 0.8))

    def unfinished() -> list[Record]:
        return [record for record in map(probe.record, uids) if not record.phase.is_final]

    def how_it_stands() -> str:
        queued = probe.client.llen("celery")
        logs = "\n".join(worker.output()[-3000:] for worker in storm.workers)
        return f"{unfinished()}\n{queued} messages are queued; {dict(storm.happened)}\n{logs}"

    poll_until(
        lambda: not unfinished(), seconds=120, what="the end of all runs", state=how_it_stands, every=0.5
    )
    assert not (folder / "overlaps").exists(), (folder / "overlaps").read_text()
    phases = Counter(probe.record(uid).phase for uid in uids)
    assert phases == {Phase.SUCCEEDED: runs}
    assert probe.nothing_is_held()
    lost = sum(any(a.reason == "WorkerLost" for a in probe.record(uid).attempts) for uid in uids)
    # If no run lost its worker, the storm proves nothing.
    assert lost > 0, storm.happened
    print(f"{dict(storm.happened)}; {lost} of {runs} runs lost a worker at least once")
