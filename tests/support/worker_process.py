"""A real Celery worker with the plug-in, in a subprocess."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import psutil

from tests.support.polling import poll_until

HERE = Path(__file__).parent


def is_pool_child(process: psutil.Process) -> bool:
    """Whether this is a live pool child, and not the orphan reaper."""
    try:
        return "orphan_reaper.py" not in " ".join(process.cmdline())
    except psutil.Error:
        return False


class WorkerProcess:
    """`celery -A <app> worker -I kelery_worker`. A failed wait shows its log."""

    def __init__(
        self,
        *,
        url: str,
        log: Path,
        app: str = "user_app",
        name: str = "w",
        lease: float = 15,
        args: tuple[str, ...] = ("-c", "2"),
        env: Mapping[str, str] = MappingProxyType({}),
    ):
        self.url = url
        self.log = log
        self.name = name
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            app,
            "worker",
            "-I",
            "kelery_worker",
            "-l",
            "INFO",
            "-n",
            f"{name}@test",
        ]
        environment = os.environ | {
            "USERS_BROKER": url,
            "KELERY_REDIS_URL": url,
            "KELERY_LEASE_SECONDS": str(lease),
            "PYTHONPATH": str(HERE),
            **env,
        }
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, *args], env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent
            )

    def wait_until_ready(self) -> None:
        """Wait until it consumes."""
        poll_until(
            lambda: " ready." in self.output(), seconds=90, what=f"worker {self.name}", state=self.output
        )

    def output(self) -> str:
        """Its log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def children(self) -> list[int]:
        """The pids of its pool children."""
        found = psutil.Process(self.process.pid).children()
        return [child.pid for child in found if is_pool_child(child)]

    def kill(self) -> None:
        """Send SIGKILL, as when a node dies."""
        self.process.kill()
        self.process.wait(10)

    def terminate(self, *, seconds: float = 30) -> int:
        """Shut it down warm; the exit code."""
        return self.send(signal.SIGTERM, seconds=seconds)

    def send(self, signal_number: int, *, seconds: float = 30) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(signal_number)
        return self.process.wait(seconds)

    def close(self) -> None:
        """End it, whatever its state."""
        if self.process.poll() is None:
            self.kill()
