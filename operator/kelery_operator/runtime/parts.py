"""The parts of a process, which run together: one that ends or fails takes the process with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger("kelery.operator")

_CANCELS = 5
_LAST_SECONDS = 3.0


class PartEnded(Exception):
    """A part that should run for ever has ended."""


class Parts:
    """Named tasks of one event loop."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], str] = {}
        self._may_end: set[str] = set()

    def start(self, name: str, work: Coroutine[Any, Any, None], *, may_end: bool = False) -> None:
        """Run it together with the others; for ever, unless it may end."""
        self._tasks[asyncio.create_task(work, name=name)] = name
        if may_end:
            self._may_end.add(name)

    async def run_until(self, stop: asyncio.Event) -> None:
        """Until `stop` is set; raises what a part raises, and PartEnded if one ends that should not."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stopping.done():
                done, _ = await asyncio.wait({stopping, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {stopping}:
                    name = self._tasks.pop(task)
                    task.result()
                    if name not in self._may_end:
                        raise PartEnded(f"{name} has ended")
        finally:
            stopping.cancel()

    async def end_all_but(self, name: str) -> None:
        """End the others, one after the other, and wait for each."""
        for task, other in list(self._tasks.items()):
            if other != name:
                await _end(task)

    async def cancel(self) -> None:
        """Cancel all that still run, and wait a moment for them."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_SECONDS)


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel it until it ends: asyncio.wait_for of Python 3.11, which redis-py uses, may lose a cancel."""
    for _ in range(_CANCELS):
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        if task.done():
            return
    logger.warning("a part of the operator does not end", extra={"part": task.get_name()})
