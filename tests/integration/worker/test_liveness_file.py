"""The heartbeat of real workers: present while they make progress, however busy, and absent if they hang."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from celery import Celery

from kelery.run.phases import Phase
from kelery_dev.stack.valkey import ValkeyServer
from kelery_worker.celery_hooks.liveness_file import FRESH_SECONDS
from kelery_worker.scripts import liveness_probe
from tests.integration.worker.conftest import StartWorker
from tests.support.frozen_process import frozen
from tests.support.ledger_probe import LedgerProbe
from tests.support.polling import poll_until
from tests.support.worker_process import WorkerProcess

#: A beat comes every second; the rest allows for a busy machine.
STEADY_SECONDS = 3.0
#: Longer than a report counts, so a beat after this time proves recent progress.
LONG_ENOUGH = FRESH_SECONDS + STEADY_SECONDS + 1

HOLDS_UP = """
import os, time
from pathlib import Path
from celery import signals
from user_app import app

@signals.task_received.connect
def hold_up(**_):
    while Path(os.environ["USERS_HOLD_UP"]).exists():
        time.sleep(0.02)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "heartbeat"


@pytest.fixture
def beating(start_worker: StartWorker, file: Path) -> WorkerProcess:
    """A worker that has written its first heartbeat."""
    worker = start_worker(lease=3, env={"KELERY_HEARTBEAT_FILE": str(file)})
    wait_for_beat(file, worker)
    return worker


def is_alive(file: Path, *, seconds: float = STEADY_SECONDS) -> bool:
    return liveness_probe.why_dead(str(file), seconds) == ""


def seconds_of(arguments: list[str]) -> float:
    """How long a bare Python runs with these arguments; it must succeed."""
    began = time.monotonic()
    assert subprocess.run([sys.executable, "-I", "-S", *arguments]).returncode == 0
    return time.monotonic() - began


def wait_for_beat(file: Path, worker: WorkerProcess) -> None:
    poll_until(
        lambda: is_alive(file, seconds=1.5), seconds=30, what="a heartbeat", state=worker.output, every=0.05
    )


def wait_for_silence(file: Path, worker: WorkerProcess) -> None:
    poll_until(lambda: not is_alive(file), seconds=30, what="silence", state=worker.output, every=0.05)


def assert_steady(file: Path, worker: WorkerProcess, *, seconds: float = LONG_ENOUGH) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert liveness_probe.why_dead(str(file), STEADY_SECONDS) == "", worker.output()
        time.sleep(0.05)


def test_an_idle_worker_beats_and_a_probe_sees_it_cheaply(file: Path, beating: WorkerProcess) -> None:
    assert_steady(file, beating)
    script = str(Path(str(liveness_probe.__file__)))
    probe, nothing = [script, str(file), str(STEADY_SECONDS)], ["-c", "pass"]
    pairs = [(seconds_of(probe), seconds_of(nothing)) for _ in range(7)]
    cost, least = (min(taken) for taken in zip(*pairs, strict=True))
    print(f"a probe takes {cost * 1000:.0f} ms, a Python that does nothing {least * 1000:.0f} ms")
    assert cost < 5 * least
    beating.kill()
    wait_for_silence(file, beating)
    assert subprocess.run([sys.executable, "-I", "-S", script, str(file), "1"]).returncode == 1


def test_a_worker_whose_pool_is_full_beats(
    probe: LedgerProbe, file: Path, beating: WorkerProcess, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    for _ in range(4):
        probe.submit("users.nap", 60, str(notes))
    poll_until(
        lambda: notes.exists() and notes.read_text().count("begin") == 2, seconds=20, what="a full pool"
    )
    assert_steady(file, beating)


def test_a_file_that_somebody_removes_comes_back(file: Path, beating: WorkerProcess) -> None:
    file.unlink()
    wait_for_beat(file, beating)


def test_what_an_earlier_worker_left_in_the_file_does_not_count(
    start_worker: StartWorker, file: Path
) -> None:
    file.write_text(f"{time.monotonic_ns() + 10**12} and something that is longer than a heartbeat\n")
    wait_for_beat(file, start_worker(lease=3, env={"KELERY_HEARTBEAT_FILE": str(file)}))


def test_a_main_process_that_hangs_does_not_beat(file: Path, beating: WorkerProcess) -> None:
    with frozen(beating.process.pid):
        wait_for_silence(file, beating)
    wait_for_beat(file, beating)


def test_a_loop_that_is_held_up_does_not_beat_although_the_keeper_does_its_work(
    probe: LedgerProbe, start_worker: StartWorker, file: Path, tmp_path: Path
) -> None:
    (tmp_path / "holds_up.py").write_text(HOLDS_UP)
    hold_up = tmp_path / "hold-up"
    env = {"KELERY_HEARTBEAT_FILE": str(file), "USERS_HOLD_UP": str(hold_up)}
    worker = start_worker(app="holds_up", lease=3, env=env)
    assert probe.wait_for(probe.submit("users.echo", 1)).phase is Phase.SUCCEEDED
    wait_for_beat(file, worker)
    running = probe.submit("users.nap", 20, key="k")
    probe.wait_for(running, Phase.RUNNING)
    hold_up.touch()
    blocked = probe.submit("users.echo", 1)
    wait_for_silence(file, worker)
    said = re.search(
        r"no heartbeat: the ledger last answered (\d+) s ago, and .* (\d+) s ago", worker.output()
    )
    assert said is not None
    assert int(said[1]) < FRESH_SECONDS <= int(said[2])
    # Its lease was renewed all the time.
    assert probe.record(running).phase is Phase.RUNNING
    hold_up.unlink()
    wait_for_beat(file, worker)
    assert probe.wait_for(blocked).phase is Phase.SUCCEEDED


def test_no_beat_without_redis_and_again_with_it(start_worker: StartWorker, file: Path) -> None:
    with ValkeyServer(durable=True) as own_valkey:
        worker = start_worker(url=own_valkey.url, lease=3, env={"KELERY_HEARTBEAT_FILE": str(file)})
        wait_for_beat(file, worker)
        with frozen(own_valkey.pid):
            wait_for_silence(file, worker)
            assert "no heartbeat: the ledger last answered" in worker.output()
        wait_for_beat(file, worker)
        # All connections are gone: Celery makes its consumer, and what that had in the loop, again.
        own_valkey.kill()
        wait_for_silence(file, worker)
        own_valkey.start()
        wait_for_beat(file, worker)
        assert_steady(file, worker)
        assert (
            LedgerProbe(own_valkey.url).wait_for(LedgerProbe(own_valkey.url).submit("users.echo", 1)).phase
            is Phase.SUCCEEDED
        )


@pytest.mark.parametrize("kind", ["run", "plain"])
def test_a_draining_worker_beats_until_its_last_task_has_ended(
    kind: str, probe: LedgerProbe, valkey_url: str, file: Path, beating: WorkerProcess, tmp_path: Path
) -> None:
    notes, seconds = tmp_path / "notes", LONG_ENOUGH + 3
    if kind == "run":
        uid = probe.submit("users.nap", seconds, str(notes))
    else:
        with Celery("client", broker=valkey_url) as client:
            client.send_task("users.nap", (seconds, str(notes)))
    poll_until(notes.exists, seconds=20, what="the task's first line")
    beating.process.send_signal(signal.SIGTERM)
    assert_steady(file, beating)
    assert "finally" not in notes.read_text()
    assert beating.process.wait(30) == 0
    assert "finally" in notes.read_text()
    if kind == "run":
        assert probe.record(uid).phase is Phase.SUCCEEDED


def test_a_file_that_cannot_be_written_ends_the_worker_with_a_sentence(
    valkey_url: str, tmp_path: Path
) -> None:
    worker = WorkerProcess(
        url=valkey_url,
        log=tmp_path / "w.log",
        app="user_app",
        name="w",
        lease=3,
        args=("-c", "1"),
        env={"KELERY_HEARTBEAT_FILE": str(tmp_path / "missing" / "heartbeat")},
    )
    try:
        assert worker.process.wait(30) != 0
    finally:
        worker.close()
    assert "missing/heartbeat: cannot write the file: No such file or directory" in worker.output()
