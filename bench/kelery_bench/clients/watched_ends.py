"""A watcher that records when each object has ended successfully, by the client's clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from kelery.kube.sync_session import SyncSession
from kelery_bench.clients.api_client import WatchEvent, watching
from kelery_dev.errors import DevError

Body = Mapping[str, Any]
#: Whether an object has ended successfully; raises `DevError` for a failure.
Judge = Callable[[Body], bool]


class Ends:
    """The times when objects ended successfully."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._ends: dict[str, asyncio.Future[tuple[float, Body]]] = {}
        self._failure: Exception | None = None

    async def moment(self, name: str) -> float:
        """The time of the end; waits for it."""
        return (await self._end(name))[0]

    async def body(self, name: str) -> Body:
        """The object at its end; waits for it."""
        return (await self._end(name))[1]

    async def read(self, events: AsyncIterator[WatchEvent]) -> None:
        """Record each event; a failed watch raises in every current and later wait."""
        try:
            async for event in events:
                self._note(event)
        except Exception as error:
            self._failure = error
            for end in self._ends.values():
                if not end.done():
                    end.set_exception(error)

    def close(self) -> None:
        """Mark errors that nobody waited for as retrieved."""
        for end in self._ends.values():
            if end.done() and not end.cancelled():
                end.exception()

    def _note(self, event: WatchEvent) -> None:
        end = self._end(event.body["metadata"]["name"])
        if end.done():
            return
        try:
            if self._judge(event.body):
                end.set_result((event.moment, event.body))
        except DevError as error:
            end.set_exception(error)

    def _end(self, name: str) -> asyncio.Future[tuple[float, Body]]:
        if name not in self._ends:
            if self._failure:
                raise self._failure
            self._ends[name] = asyncio.get_running_loop().create_future()
        return self._ends[name]


@contextlib.asynccontextmanager
async def watched_ends(
    access: SyncSession, collection: str, *, judge: Judge, selector: str = ""
) -> AsyncIterator[Ends]:
    """The ends of the objects that are created from now on."""
    async with watching(access, collection, selector=selector) as events:
        ends = Ends(judge)
        reader = asyncio.ensure_future(ends.read(events))
        try:
            yield ends
        finally:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader
            ends.close()
