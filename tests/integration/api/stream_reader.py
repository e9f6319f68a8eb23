"""Reads an event stream as an ASGI server does, and opens and closes the services for it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.types import Message

from kelery.ledger import async_client, commands
from kelery.run.model import Record
from kelery.taskrun import status
from kelery_api.streams.event_stream import EventStream, events
from kelery_api.streams.follower import Follower, final_record

FOLLOWER_NAME = "kelery-follower"


def shown(record: Record) -> dict[str, Any]:
    """The part of a rendered run that these tests need."""
    return {"metadata": {"uid": record.uid}, "status": status.render(record, previous={})}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event as the client receives it, and its arrival time (monotonic clock)."""

    name: str
    id: int
    data: Mapping[str, Any]
    came: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The services of a gateway that streams need."""

    ledger: async_client.Ledger
    follower: Follower

    async def record(self, uid: str) -> Record:
        (record,) = await self.ledger.run(commands.view([uid], inline_bytes=1024))
        assert record is not None, f"no record of {uid}"
        return record

    async def open(self, uid: str, *, last_event_id: str | None = None) -> StreamReader | int:
        """A stream that is being read, or the status of a response without a stream."""
        response = await events(
            record=await self.record(uid),
            last_event_id=last_event_id,
            ledger=self.ledger,
            follower=self.follower,
            render=shown,
        )
        return StreamReader(response) if isinstance(response, EventStream) else response.status_code

    async def read(self, uid: str, *, last_event_id: str | None = None) -> StreamReader:
        """A stream that is being read."""
        reader = await self.open(uid, last_event_id=last_event_id)
        assert isinstance(reader, StreamReader), reader
        return reader

    async def wait(self, uid: str, *, seconds: float) -> asyncio.Task[Record | None]:
        """Start a wait and return after its first read. Later outages do not fail it."""
        has_looked = asyncio.Event()

        async def look() -> Record:
            try:
                return await self.record(uid)
            finally:
                has_looked.set()

        work = final_record(self.ledger, self.follower, uid, wait_seconds=seconds, first_look=look)
        task = asyncio.create_task(work)
        await has_looked.wait()
        return task


@asynccontextmanager
async def gateway_parts(url: str) -> AsyncIterator[Parts]:
    """A running follower, and a separate ledger client for reads."""
    own = async_client.connect(url, timeout_seconds=3, client_name=FOLLOWER_NAME)
    shared = async_client.connect(url, timeout_seconds=1.5, client_name="kelery-gateway")
    # All waits here make their first read at the same time, as requests do.
    shared.connection_pool.max_connections = 1000
    ledger = async_client.Ledger(shared, prefix="kelery")
    await ledger.load_library()
    follower = Follower(async_client.Ledger(own, prefix="kelery"))
    following = asyncio.create_task(follower.run())
    try:
        await until(lambda: follower.is_following, what="the follower follows")
        yield Parts(ledger=ledger, follower=follower)
        assert not following.done()
    finally:
        following.cancel()
        await asyncio.wait([following])
        await own.aclose()
        await shared.aclose()


async def until(
    look: Callable[[], object], *, what: str, seconds: float = 30, state: Callable[[], object] = str
) -> None:
    """Wait until `look` is true."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain until {what}; {state()}"
        await asyncio.sleep(0.005)


class StreamReader:
    """A client of one stream."""

    def __init__(self, response: EventStream) -> None:
        self.headers: dict[str, str] = {}
        self.events: list[Told] = []
        self.keep_alives = 0
        self.is_ended = False
        self._left = asyncio.Event()
        self.task = asyncio.create_task(response({"type": "http"}, self._receive, self._send))

    @property
    def phases(self) -> list[int]:
        """The ids of the phase changes, including the final one."""
        return [event.id for event in self.events if event.name != "progress"]

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]

    async def wait_for_end(self, *, seconds: float = 30) -> StreamReader:
        """Wait until the stream has ended properly."""
        await asyncio.wait([self.task], timeout=seconds)
        assert self.task.done(), f"the stream has not ended after {seconds} s; it told {self.names}"
        await self.task
        assert self.is_ended
        return self

    async def wait_for(self, count: int, *, seconds: float = 30) -> None:
        """Wait until this number of events has arrived."""
        await until(
            lambda: len(self.events) >= count, what=f"{count} events came", seconds=seconds, state=self._state
        )

    async def leave(self) -> None:
        """Close the connection, as a client does."""
        self._left.set()
        await self.wait_for_end()

    def _state(self) -> object:
        return self.names

    async def _receive(self) -> Message:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        self.is_ended = not message["more_body"]
        for block in message["body"].decode().split("\n\n")[:-1]:
            self._read(block)

    def _read(self, block: str) -> None:
        if block.startswith(":"):
            self.keep_alives += 1
            return
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        if "data" in fields:
            data = json.loads(fields["data"])
            self.events.append(
                Told(name=fields["event"], id=int(fields["id"]), data=data, came=time.monotonic())
            )
