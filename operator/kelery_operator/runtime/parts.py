"""The parts of a process, which run together. If one ends or fails, the process ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

logger = logging.getLogger("kelery.operator")

_CANCELS = 5
_LAST_SECONDS = 3.0


class PartEnded(Exception):
    """A part ended that should run forever."""


class Parts:
    """Named tasks in one event loop."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Any], str] = {}
        self._may_end: set[str] = set()

    def start(self, name: str, work: Coroutine[Any, Any, None], *, may_end: bool = False) -> None:
        """Start a part. It must run forever, unless `may_end`."""
        self._tasks[asyncio.create_task(work, name=name)] = name
        if may_end:
            self._may_end.add(name)

    async def run_until(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set. Raises the error of a part, or PartEnded if a part ends."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stopping.done():
                done, _ = await asyncio.wait({stopping, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {stopping}:
                    name = self._tasks.pop(task)
                    task.result()
                    if name not in self._may_end:
                        raise PartEnded(f"the part {name!r} ended unexpectedly")
        finally:
            stopping.cancel()

    async def end_all_but(self, name: str) -> None:
        """End all other parts, one after the other."""
        for task, other in list(self._tasks.items()):
            if other != name:
                await _end(task)

    async def cancel(self) -> None:
        """Cancel all parts, and wait some seconds for them."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_SECONDS)


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel it until it ends: redis-py uses asyncio.wait_for, which may lose a cancel in Python 3.11."""
    for _ in range(_CANCELS):
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        if task.done():
            return
    logger.warning("a part of the operator does not stop", extra={"part": task.get_name()})
