"""Keeps one service running: starts it, detects its readiness, and restarts it with back-off."""

import asyncio
import contextlib
import time
from collections import deque
from pathlib import Path

from kelery_dev.errors import DevError
from kelery_dev.supervise.backoff import Backoff
from kelery_dev.supervise.console import Console, ServiceLog
from kelery_dev.supervise.service import Service, describe_exit
from kelery_dev.supervise.service_process import ServiceProcess

_READY_POLL_SECONDS = 0.1
_TAIL_LINES = 20
#: The lines that are shown when a service dies whose output is not on the screen.
_LAST_LINES = 3
_LAST_SECONDS = 10.0


class ServiceKeeper:
    """One service and its current process."""

    def __init__(self, service: Service, *, console: Console, logs: Path) -> None:
        self.service = service
        self._console = console
        self._log = ServiceLog(logs / f"{service.name}.log")
        #: The last lines, each with its time.
        self._recent: deque[tuple[float, str]] = deque(maxlen=_TAIL_LINES)
        self._process: ServiceProcess | None = None
        self._backoff = Backoff()
        self._ready = asyncio.Event()
        self._wake = asyncio.Event()
        self._first_life_over = asyncio.Event()
        self._stopping = False
        self._reloading = False
        self._task = asyncio.create_task(self._keep(), name=f"keep {service.name}")

    @property
    def task(self) -> "asyncio.Task[None]":
        """The keeper's task; it ends only after `stop`, or with an error in the keeper."""
        return self._task

    @property
    def pid(self) -> int | None:
        """The pid of the current process; None between two processes."""
        return self._process.pid if self._process else None

    async def wait_until_ready(self) -> None:
        """Wait until it is ready. If not in time: DevError for an essential service, else a warning."""
        service = self.service
        waits = {asyncio.create_task(event.wait()) for event in (self._ready, self._first_life_over)}
        try:
            await asyncio.wait(
                {*waits, self._task}, timeout=service.ready_seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for wait in waits:
                wait.cancel()
        if self._ready.is_set():
            return
        if self._task.done():
            self._task.result()
        ended = self._first_life_over.is_set()
        trouble = "ended during its start" if ended else f"was not ready after {service.ready_seconds:g} s"
        if service.essential:
            tail = "\n".join(f"  | {line}" for _, line in self._recent)
            raise DevError(f"{service.name} {trouble}:\n{tail}")
        self._console.say(f"{service.name} {trouble}; continuing without it until it is up")

    async def reload(self) -> None:
        """Stop the process with the service's reload steps; restart at once, with a new back-off series."""
        self._backoff = Backoff()
        if self._process:
            self._reloading = True
            await self._process.stop(self.service.reload_steps or self.service.stop_steps)
        else:
            self._wake.set()

    async def stop(self) -> None:
        """Stop it finally; returns when all its processes are gone."""
        self._stopping = True
        self._wake.set()
        if self._process:
            await self._process.stop(self.service.stop_steps)
        # An error in the keeper has been reported already; here only the end matters.
        with contextlib.suppress(Exception):
            await self._task
        self._log.close()

    def kill(self) -> None:
        """Kill the current process at once."""
        self._stopping = True
        self._wake.set()
        if self._process:
            self._process.kill()

    async def _keep(self) -> None:
        while not self._stopping:
            began = time.monotonic()
            code = await self._live_once()
            self._ready.clear()
            self._first_life_over.set()
            if self._stopping:
                return
            await self._pause(code, lived=time.monotonic() - began)

    async def _live_once(self) -> int:
        """Run one process from start to end; returns its exit code."""
        self._process = await ServiceProcess.spawn(self.service.command, on_line=self._on_line)
        if self._stopping:
            # `stop` was called during the start, when there was no process yet.
            self._process.kill()
        readiness = asyncio.create_task(self._poll_readiness())
        try:
            return await self._process.wait()
        finally:
            self._process = None
            readiness.cancel()

    async def _pause(self, code: int, *, lived: float) -> None:
        """Report the end, and wait for the back-off."""
        service = self.service
        if self._reloading:
            self._reloading = False
            self._console.say(f"{service.name}: restarting with the new code")
            return
        self._backoff = self._backoff.after_death(lived=lived)
        delay = self._backoff.delay
        self._console.say(f"{service.name} died ({describe_exit(code)}); restarting it in {delay:g} s")
        self._console.say("\n".join([*self._last_words(), f"  log: {self._log.file}"]))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout=delay)
        self._wake.clear()

    def _last_words(self) -> list[str]:
        """The last lines before its death, unless they are on the screen already."""
        if self.service.talkative:
            return []
        since = time.monotonic() - _LAST_SECONDS
        return [f"  | {line}" for came, line in self._recent if came >= since][-_LAST_LINES:]

    async def _poll_readiness(self) -> None:
        """Poll `is_ready` until it returns True; without it, `_on_line` detects the readiness."""
        is_ready = self.service.is_ready
        if not is_ready:
            return
        while True:
            if await asyncio.to_thread(is_ready):
                self._became_ready()
                return
            await asyncio.sleep(_READY_POLL_SECONDS)

    def _on_line(self, line: str) -> None:
        service = self.service
        self._recent.append((time.monotonic(), line))
        self._log.write(line)
        if service.talkative:
            self._console.log(service.name, line=line)
        if service.ready_line and service.ready_line in line:
            self._became_ready()

    def _became_ready(self) -> None:
        if not self._ready.is_set():
            self._ready.set()
            where = f": {self.service.where}" if self.service.where else ""
            self._console.say(f"{self.service.name} is up{where}")
