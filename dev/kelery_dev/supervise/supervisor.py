"""Keeps the services of the stack up, and takes them down in the reverse of the order in which they came;
those that came together go together.

It knows nothing of Valkey or Kubernetes: `stack.py` says which services there are. To be used from one
thread that lives as long as the services, since they are tied to the thread that started them.
"""

import asyncio
from pathlib import Path

from kelery_dev.supervise.console import Console
from kelery_dev.supervise.service import Service
from kelery_dev.supervise.service_keeper import ServiceKeeper


class Supervisor:
    """The services that are up, in groups in the order of their start."""

    def __init__(self, *, console: Console, logs: Path) -> None:
        self._console = console
        self._logs = logs
        self._keepers: dict[str, ServiceKeeper] = {}
        self._groups: list[list[ServiceKeeper]] = []

    async def start(self, *services: Service) -> None:
        """Start these at the same time; return when each is ready, or has been given up waiting for."""
        started = [ServiceKeeper(service, console=self._console, logs=self._logs) for service in services]
        self._groups.append(started)
        for keeper in started:
            self._keepers[keeper.service.name] = keeper
        await asyncio.gather(*(keeper.wait_until_ready() for keeper in started))

    def pid(self, name: str) -> int | None:
        """The process that a service has at this moment."""
        return self._keepers[name].pid

    async def reload(self, name: str) -> None:
        """End a service gently and start it again at once."""
        await self._keepers[name].reload()

    async def failure(self) -> None:
        """Never returns while all is well; raises what went wrong inside the supervisor itself."""
        tasks = {keeper.task for keeper in self._keepers.values()}
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Stop every service, the latest group first, each before those it depends on."""
        for group in reversed(self._groups):
            await asyncio.gather(*(keeper.stop() for keeper in group))
        self._groups.clear()
        self._keepers.clear()

    def kill(self) -> None:
        """End every service at once; `stop` then has nothing to wait for."""
        for keeper in self._keepers.values():
            keeper.kill()
