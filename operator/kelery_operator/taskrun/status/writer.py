"""Sends the due writes of the coalescer with limited concurrency, and reports the answers to its listener.

It backs off when the API server is busy. It never repeats a rejected write unchanged: it reports an object
that is gone, and shortens a status that the API server rejects.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from kelery.kube.answer import Answer, KubeError
from kelery.taskrun.resource import Identity
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.taskrun.actions import WriteStatus
from kelery_operator.taskrun.run_state import RunStates
from kelery_operator.taskrun.snapshot import Snapshot
from kelery_operator.taskrun.status.coalescer import Coalescer
from kelery_operator.taskrun.status_write import Write

logger = logging.getLogger("kelery.operator")

_BARE_FIELDS = ("phase", "reason", "attempt", "startTime", "completionTime", "conditions")
_BROKEN_PAUSE = 5.0


class StatusTransport(Protocol):
    """The request that the writer needs."""

    async def put_status(
        self, namespace: str, name: str, *, uid: str, status: Mapping[str, Any], version: int
    ) -> Answer: ...


class Listener(Protocol):
    """Receives the results of writes."""

    def status_written(self, write: Write, snapshot: Snapshot) -> None: ...

    def object_changed(self, who: Identity) -> None: ...


class StatusWriter:
    """One per operator."""

    def __init__(
        self,
        transport: StatusTransport,
        *,
        states: RunStates,
        listener: Listener,
        metrics: Metrics,
        connections: int = 32,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._states = states
        self._listener = listener
        self._metrics = metrics
        self._connections = connections
        self._clock = clock
        self._coalescer = Coalescer(states)
        self._wake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._not_before = 0.0

    def offer(self, who: Identity, action: WriteStatus, *, version: int, since: float | None = None) -> None:
        """Add the newest status of a run. `since` is the time of the change.

        It is written only if the object still has this `version`; 0 means any version.
        """
        write = Write(who=who, status=action.status, rev=action.rev, urgency=action.urgency, version=version)
        self._coalescer.offer(write, now=self._clock(), since=since)
        if write.is_final:
            self._send_due()
        if self._coalescer.next_due() is not None:
            self._wake.set()

    def is_on_its_way(self, uid: str, *, status: Mapping[str, Any]) -> bool:
        """Whether this status of the run is in flight."""
        return self._coalescer.is_on_its_way(uid, status=status)

    def final_on_its_way(self, uid: str) -> bool:
        """Whether a final status of the run is in flight."""
        return self._coalescer.final_on_its_way(uid)

    def unsent(self) -> int:
        """The number of writes that are pending or in flight."""
        return self._coalescer.unsent()

    async def run(self) -> None:
        """Send due writes, forever."""
        self._metrics.unsent.set_function(self._coalescer.unsent)
        while True:
            await self._step()

    async def drain(self, *, seconds: float) -> bool:
        """Send all pending writes within `seconds`; True if none is left."""
        deadline = self._clock() + seconds
        while self._coalescer.unsent() and self._clock() < deadline:
            self._coalescer.hurry(now=self._clock())
            await self._step(longest=0.05)
        return not self._coalescer.unsent()

    async def _step(self, *, longest: float | None = None) -> None:
        self._wake.clear()
        self._send_due()
        pause = self._pause(longest)
        if pause is None:
            await self._wake.wait()
            return
        try:
            async with asyncio.timeout(pause):
                await self._wake.wait()
        except TimeoutError:
            return

    def _send_due(self) -> None:
        now = self._clock()
        free = self._connections - len(self._sending)
        if free > 0 and now >= self._not_before:
            for write in self._coalescer.take_due(now=now, most=free):
                task = asyncio.create_task(self._send(write))
                self._sending.add(task)
                task.add_done_callback(self._sent)

    def _pause(self, longest: float | None) -> float | None:
        pauses = [] if longest is None else [longest]
        due = self._coalescer.next_due()
        if due is not None and len(self._sending) < self._connections:
            pauses.append(max(0.0, max(due, self._not_before) - self._clock()))
        return min(pauses, default=None)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if self._coalescer.next_due() is not None:
            self._wake.set()
        if not task.cancelled() and (error := task.exception()):
            logger.error("unexpected error while writing a status", exc_info=error)

    async def _send(self, write: Write) -> None:
        who, started = write.who, self._clock()
        try:
            answer = await self._transport.put_status(
                who.namespace, who.name, uid=who.uid, status=write.status, version=write.version
            )
        except KubeError as error:
            self._refused(write, error=error)
        except Exception:
            self._metrics.writes.labels("error").inc()
            self._coalescer.failed(write, now=self._clock(), jitter=random.random(), pause=_BROKEN_PAUSE)
            raise
        else:
            self._metrics.write_seconds.observe(self._clock() - started)
            self._answered(write, answer=answer)

    def _answered(self, write: Write, *, answer: Answer) -> None:
        who, now = write.who, self._clock()
        self._metrics.writes.labels(str(answer.status)).inc()
        if answer.status == 200:
            snapshot = self._states.read(answer.body)
            self._coalescer.written(write, now=now, version=snapshot.version)
            self._listener.status_written(write, snapshot)
        elif answer.status == 404:
            self._states.forget_writes(who.uid)
            self._listener.object_changed(who)
        elif answer.status == 409 and write.version:
            self._coalescer.outdated(write, now=now, jitter=random.random())
            self._listener.object_changed(who)
        elif answer.status == 409:
            self._coalescer.failed(write, now=now, jitter=random.random())
        elif answer.status == 422 and not _names_a_field(answer):
            # Probably the test of the uid failed: another object has the name now.
            self._coalescer.failed(write, now=now, jitter=random.random())
            self._listener.object_changed(who)
        else:
            self._cut_down(write, answer=answer)

    def _cut_down(self, write: Write, *, answer: Answer) -> None:
        """The API server rejected this status: write at least the outcome."""
        now = self._clock()
        logger.error(
            "the API server rejected a status; writing it without details",
            extra={"run": write.who.uid, "status": answer.status, "phase": write.status.get("phase")},
        )
        bare = {field: write.status[field] for field in _BARE_FIELDS if field in write.status}
        smaller = replace(write, status=bare)
        self._coalescer.refused(write, instead=smaller, now=now, jitter=random.random())

    def _refused(self, write: Write, *, error: KubeError) -> None:
        now = self._clock()
        self._metrics.writes.labels(str(error.status or "unanswered")).inc()
        if error.status == 429:
            # The request to slow down is for all writes, not for this run.
            self._not_before = max(self._not_before, now + (error.retry_after or 1.0))
        pause = self._coalescer.failed(write, now=now, jitter=random.random(), pause=error.retry_after)
        logger.warning(
            "cannot write a status; retrying: %s",
            error,
            extra={"run": write.who.uid, "pause": round(pause, 2)},
        )


def _names_a_field(answer: Answer) -> bool:
    """Whether the API server names an invalid field."""
    details = answer.body.get("details")
    return isinstance(details, Mapping) and bool(details.get("causes"))
