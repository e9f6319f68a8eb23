"""One operator process under test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from kelery_dev.supervise.ports import free_port
from tests.support.polling import poll_until


class OperatorProcess:
    """`python -m kelery_operator` with its log and its health port."""

    def __init__(self, environment: Mapping[str, str], *, log: Path) -> None:
        self.port = free_port()
        self.log = log
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KELERY_")},
            "KELERY_OPERATOR_HEALTH_ADDR": f"127.0.0.1:{self.port}",
            "KELERY_LOG_FORMAT": "text",
            **environment,
        }
        self._start()

    def _start(self) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kelery_operator"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def restart(self) -> None:
        """Kill it if it runs, start it again, and wait until it is ready."""
        self.kill()
        self._start()
        self.wait_until_ready()

    def wait_until_ready(self, *, seconds: float = 90) -> None:
        """Wait until it reports that it is ready."""
        poll_until(lambda: self.status("/readyz") == 200, seconds=seconds, what="/readyz", state=self.told)

    def status(self, path: str) -> int:
        """The HTTP status of one of its paths, or 0 if it does not answer."""
        assert not self.has_ended, f"the operator has ended:\n{self.told()}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    def metric(self, line: str) -> float:
        """The value of a metric's line, or 0 if there is none yet."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            for text in answer.read().decode().splitlines():
                name, _, value = text.rpartition(" ")
                if name == line:
                    return float(value)
        return 0.0

    def kill(self) -> None:
        """Send SIGKILL, like a crash. Does nothing if it has ended."""
        self._process.kill()
        self._process.wait()

    def terminate(self, *, seconds: float = 15) -> int:
        """Send SIGTERM and return its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=seconds)

    def told(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-5000:]
