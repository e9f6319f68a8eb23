"""One process of a service, in its own session, which dies with this process.

`wait` returns only when all processes of the service are gone: after the process has ended, the rest of its
group and of its recorded descendants is killed.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable

import psutil

from kelery_dev.supervise import die_with_parent
from kelery_dev.supervise.child_process import Command, signal_group
from kelery_dev.supervise.service import StopStep

_CHUNK = 64 * 1024
# A process that left the group may hold the pipe open; its output is not waited for.
_LAST_WORDS_SECONDS = 1.0
_LOOK_SECONDS = 0.25


class ServiceProcess:
    """A started service. Create it with `spawn`, in a thread that outlives it."""

    def __init__(self, process: asyncio.subprocess.Process, *, output: "asyncio.Task[None]") -> None:
        self._process = process
        self._output = output
        self._descendants: set[psutil.Process] = set()

    @classmethod
    async def spawn(cls, command: Command, *, on_line: Callable[[str], None]) -> "ServiceProcess":
        """Start it; each line of its output goes to `on_line`."""
        # An own pipe: with asyncio's, `wait` would depend on every process that inherits the other end.
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *die_with_parent.wrap(command.argv),
                env=command.environment(),
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        return cls(process, output=asyncio.create_task(_pump(reading, on_line=on_line)))

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """The exit code, after all processes of the service are gone."""
        code = await self._process.wait()
        self._kill_rest()
        done, _ = await asyncio.wait({self._output}, timeout=_LAST_WORDS_SECONDS)
        if not done:
            self._output.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._output
        return code

    async def stop(self, steps: tuple[StopStep, ...]) -> None:
        """Apply the stop steps, then kill the rest; `wait` returns when it is gone."""
        for step in steps:
            self._note_descendants()
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(step.signal)
            if await self._ended_within(step.seconds):
                return
        self.kill()

    async def _ended_within(self, seconds: float) -> bool:
        """Whether it ended in time; descendants are recorded repeatedly, since tasks may start new ones."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), timeout=min(left, _LOOK_SECONDS))
                return True
            self._note_descendants()
        return False

    def kill(self) -> None:
        """Kill it, its group and its descendants at once."""
        self._note_descendants()
        self._kill_rest()

    def _note_descendants(self) -> None:
        """Record its descendants: after its death they cannot be found."""
        with contextlib.suppress(psutil.Error):
            self._descendants.update(psutil.Process(self.pid).children(recursive=True))

    def _kill_rest(self) -> None:
        signal_group(self.pid, number=signal.SIGKILL)
        for process in self._descendants:
            # psutil compares start times, so a reused pid is never hit.
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._descendants.clear()


async def _pump(descriptor: int, *, on_line: Callable[[str], None]) -> None:
    """Split the output into lines of any length."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb")
    )
    rest = b""
    try:
        while chunk := await reader.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                on_line(line.decode(errors="replace").rstrip("\r"))
        if rest:
            on_line(rest.decode(errors="replace"))
    finally:
        transport.close()
