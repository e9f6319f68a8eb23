"""Child processes: their commands, and a synchronous way to run one.

Every child has its own session, so Ctrl-C reaches only the parent, and the whole group can be killed. It dies
with its parent (`die_with_parent.py`). The supervisor starts services in the same way. `ChildProcess` is for
code without an event loop, such as test fixtures.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kelery_dev.errors import DevError
from kelery_dev.supervise import die_with_parent

_POLL_SECONDS = 0.05
_TAIL_LINES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command; `env` is added to the current environment."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None

    def environment(self) -> dict[str, str]:
        """The complete environment of the process."""
        return {**os.environ, **self.env}


def signal_group(pid: int, *, number: signal.Signals) -> None:
    """Send a signal to the process group of a child; no error if the group is gone."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def tail(log: Path) -> str:
    """The last lines of a log, for an error message."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(f"  | {line}" for line in lines[-_TAIL_LINES:])


class ChildProcess:
    """One running child process; its output goes to a file."""

    def __init__(self, command: Command, *, log: Path) -> None:
        self.name = command.name
        self.log = log
        # Started from another thread, it would die with that thread, not with this process.
        tied = threading.current_thread() is threading.main_thread()
        argv = die_with_parent.wrap(command.argv) if tied else list(command.argv)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                argv,
                env=command.environment(),
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_until(self, ready: Callable[[], bool], *, timeout: float) -> None:
        """Wait until `ready` returns True; DevError with the log's end if the child dies or is too slow."""
        deadline = time.monotonic() + timeout
        while not ready():
            code = self._process.poll()
            if code is not None:
                raise DevError(f"{self.name} ended during its start with code {code}:\n{tail(self.log)}")
            if time.monotonic() > deadline:
                raise DevError(f"{self.name} was not ready after {timeout:g} s:\n{tail(self.log)}")
            time.sleep(_POLL_SECONDS)

    def kill(self) -> None:
        """Kill it and its process group at once."""
        signal_group(self.pid, number=signal.SIGKILL)
        self._process.wait()

    def stop(self, *, grace: float) -> None:
        """Terminate it; after `grace` seconds, kill it and its process group."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=grace)
        self.kill()
