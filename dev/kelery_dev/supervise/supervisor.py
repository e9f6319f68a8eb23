"""Keeps the services of the stack running, and stops them in reverse order of their start, group by group.

`stack.py` defines the services. Use the supervisor from one thread that outlives the services, since they die
with the thread that started them.
"""

import asyncio
from pathlib import Path

from kelery_dev.supervise.console import Console
from kelery_dev.supervise.service import Service
from kelery_dev.supervise.service_keeper import ServiceKeeper


class Supervisor:
    """The running services, in groups in the order of their start."""

    def __init__(self, *, console: Console, logs: Path) -> None:
        self._console = console
        self._logs = logs
        self._keepers: dict[str, ServiceKeeper] = {}
        self._groups: list[list[ServiceKeeper]] = []

    async def start(self, *services: Service) -> None:
        """Start services at once; returns when each is ready or its time is over."""
        started = [ServiceKeeper(service, console=self._console, logs=self._logs) for service in services]
        self._groups.append(started)
        for keeper in started:
            self._keepers[keeper.service.name] = keeper
        await asyncio.gather(*(keeper.wait_until_ready() for keeper in started))

    def pid(self, name: str) -> int | None:
        """The pid of a service's current process."""
        return self._keepers[name].pid

    async def reload(self, name: str) -> None:
        """Stop a service with its reload steps and restart it at once."""
        await self._keepers[name].reload()

    async def failure(self) -> None:
        """Wait; raises the error of a keeper if one fails."""
        tasks = {keeper.task for keeper in self._keepers.values()}
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Stop every service, the last group first."""
        for group in reversed(self._groups):
            await asyncio.gather(*(keeper.stop() for keeper in group))
        self._groups.clear()
        self._keepers.clear()

    def kill(self) -> None:
        """Kill every service at once; `stop` then does not wait."""
        for keeper in self._keepers.values():
            keeper.kill()
