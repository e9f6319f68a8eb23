"""The events of one run as `text/event-stream`. The stream ends with the run, and resumes with Last-Event-ID.

`run_events` decides which events are sent; this module waits and sends. Invariants: the subscription ends
with the stream, no matter how that ends. While the ledger is unavailable, the stream stays open; then it
continues.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kelery import json_codec
from kelery.ledger import commands
from kelery.ledger.async_client import Ledger
from kelery.run.model import Record, Transition
from kelery_api.http.problems import Kind, Problem
from kelery_api.models import FieldProblem
from kelery_api.streams import run_events
from kelery_api.streams.follower import LOOK_AGAIN_SECONDS, Follower, Subscription
from kelery_api.streams.run_events import EventBatch, Position, Render

MEDIA_TYPE = "text/event-stream"
KEEP_ALIVE_SECONDS = 15.0

_PROGRESS_APART_SECONDS = 0.1
_KEEP_ALIVE = b": keep-alive\n\n"
#: Sent first, so that proxies forward the start of the response.
_RECONNECT_AFTER = b"retry: 1000\n\n"
_EVENT_ID = re.compile(r"[0-9]{1,15}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A run's record (None if it is missing or deleted), and its history, which is read after the record."""

    record: Record | None
    history: Sequence[Transition]


async def events(
    *, record: Record, last_event_id: str | None, ledger: Ledger, follower: Follower, render: Render
) -> Response:
    """The response to `GET .../taskruns/{id}/events`: 204 if the client has the last event, else a stream.

    Raises Problem and LedgerError.
    """
    last_seen = read_event_id(last_event_id)
    if last_seen and record.phase.is_final:
        snapshot = await _snapshot(ledger, record.uid)
        if snapshot.record and last_seen == run_events.final_id(snapshot.record, snapshot.history):
            return Response(status_code=204)
    return EventStream(record.uid, last_seen=last_seen, ledger=ledger, follower=follower, render=render)


def read_event_id(text: str | None) -> int:
    """The number in a Last-Event-ID header; 0 without one. Raises Problem."""
    if not text:
        return 0
    if _EVENT_ID.fullmatch(text):
        return int(text)
    rule = "must be the id of an event of this stream; send such an id, or omit the header"
    wrong = FieldProblem(parameter="Last-Event-ID", detail=rule)
    raise Problem(Kind.INVALID_INPUT, f"Last-Event-ID: {rule}", errors=[wrong])


class EventStream(Response):
    """Sends a run's events until the run is finished or deleted, the client disconnects or the gateway stops.

    Not a StreamingResponse: its generator might never start, and would then never release the subscription.
    """

    def __init__(
        self, uid: str, *, last_seen: int, ledger: Ledger, follower: Follower, render: Render
    ) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(
            {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        self._uid = uid
        self._last_seen = last_seen
        self._ledger = ledger
        self._follower = follower
        self._render = render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._follower.watch(self._uid) as subscription:
            listener = asyncio.create_task(_end_with_client(receive, subscription))
            try:
                await send(
                    {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
                )
                await self._send_events(_Pipe(send), subscription)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            finally:
                listener.cancel()

    async def _send_events(self, pipe: _Pipe, subscription: Subscription) -> None:
        position: Position | None = None
        await pipe.write(_RECONNECT_AFTER)
        while not subscription.is_over:
            snapshot = await self._follower.in_turn(lambda: _snapshot(self._ledger, self._uid))
            if snapshot is not None:
                if snapshot.record is None:
                    return
                position = position or run_events.position_after(
                    snapshot.record, last_event_id=self._last_seen
                )
                batch = run_events.next_batch(
                    snapshot.record, snapshot.history, position, render=self._render
                )
                position = batch.position
                await pipe.send(batch)
                if batch.is_last:
                    return
            await pipe.keep_alive_until_changed(subscription, look_again=snapshot is None)


class _Pipe:
    """The connection to the client. Tracks when the next keep-alive is due."""

    __slots__ = ("_clock", "_send", "_silence_ends")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._clock = asyncio.get_running_loop().time
        self._silence_ends = 0.0

    async def write(self, content: bytes) -> None:
        await self._send({"type": "http.response.body", "body": content, "more_body": True})
        self._silence_ends = self._clock() + KEEP_ALIVE_SECONDS

    async def send(self, batch: EventBatch) -> None:
        """Send the batch in one write, so that it arrives as a whole."""
        if batch.events:
            await self.write(b"".join(event.encode() for event in batch.events))
        if batch.is_only_progress:
            # Limits the rate: a task can report progress a thousand times a second.
            await asyncio.sleep(_PROGRESS_APART_SECONDS)

    async def keep_alive_until_changed(self, subscription: Subscription, *, look_again: bool) -> None:
        """Return when the run should be read again: after a change, and with each keep-alive."""
        left = self._silence_ends - self._clock()
        await subscription.changed(within=min(left, LOOK_AGAIN_SECONDS) if look_again else left)
        if self._clock() >= self._silence_ends and not subscription.is_over:
            await self.write(_KEEP_ALIVE)


async def _snapshot(ledger: Ledger, uid: str) -> Snapshot:
    viewing = commands.view([uid], inline_bytes=json_codec.INLINE_BYTES)
    [record], history = await ledger.run_both(viewing, commands.history(uid))
    return Snapshot(record=None if record is None or record.is_deleted else record, history=history)


async def _end_with_client(receive: Receive, subscription: Subscription) -> None:
    try:
        while (await receive())["type"] != "http.disconnect":
            continue
    finally:
        subscription.end()
