"""Starting a worker with Kelery's command, and with common mistakes in its environment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kelery.run.phases import Phase
from tests.support.ledger_probe import LedgerProbe
from tests.support.polling import poll_until
from tests.support.worker_process import HERE


def start(command: list[str], log: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(HERE), **env}
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, *command],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
        )


def test_kelery_worker_runs_a_users_app_and_hands_the_signal_to_celery(
    probe: LedgerProbe, valkey_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    # The app names its own broker, so the command needs only the app.
    process = start(
        ["-m", "kelery", "worker", "-A", "user_app", "-c", "1"], log, {"USERS_BROKER": valkey_url}
    )
    try:
        assert probe.wait_for(probe.submit("users.echo", 5)).phase is Phase.SUCCEEDED
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("env", "words"),
    [
        (
            {"USERS_BROKER": "amqp://guest@127.0.0.1//"},
            "must be the URL of the Redis that Celery's messages go through",
        ),
        ({"KELERY_LEASE_SECONDS": "soon"}, "KELERY_LEASE_SECONDS='soon' is not a number"),
        ({"KELERY_LEASE_SECONDS": "0.1"}, "KELERY_LEASE_SECONDS=0.1 is out of range"),
    ],
)
def test_an_impossible_environment_is_refused_by_its_name(
    env: dict[str, str], words: str, valkey_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    command = ["-m", "kelery", "worker", "-A", "user_app", "-c", "1"]
    process = start(command, log, {"USERS_BROKER": valkey_url, "USERS_BACKEND": valkey_url, **env})
    try:
        poll_until(lambda: process.poll() is not None, seconds=30, what="its end", state=log.read_text)
    finally:
        process.kill()
        process.wait()
    assert process.returncode != 0
    assert words in log.read_text()
