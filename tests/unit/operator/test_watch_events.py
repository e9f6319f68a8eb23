"""What a watch event does to the run states, the queue and the existence checks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from kelery.kube.answer import Answer
from kelery.taskrun.resource import Identity
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.actions import Urgency, WriteStatus
from kelery_operator.taskrun.existence_checks import ExistenceChecks
from kelery_operator.taskrun.run_state import Presence, RunStates
from kelery_operator.taskrun.status.writer import StatusWriter
from kelery_operator.taskrun.watch_events import WatchEvents
from tests.unit.operator.observations import body
from tests.unit.operator.test_writer import Reports

WHO = Identity(uid="uid-1", namespace="default", name="run")


class ApiServer:
    """Knows one object, or none."""

    def __init__(self) -> None:
        self.found: Mapping[str, Any] | None = None
        #: Happens while a status is written.
        self.meanwhile: Callable[[], None] = lambda: None

    async def get(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return self.found

    async def put_status(
        self, namespace: str, name: str, *, uid: str, status: Mapping[str, Any], version: int
    ) -> Answer:
        self.meanwhile()
        return Answer(status=200, body={"metadata": {"resourceVersion": "200"}})


class Scene:
    """Watch events with their neighbours, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        #: The seconds that pass before each of the next readings of the clock.
        self.passing: Iterator[float] = iter(())
        self.api, metrics = ApiServer(), Metrics()
        self.states = RunStates()
        self.queue = WorkQueue(place=self.states.place, clock=self.clock)
        self.checks = ExistenceChecks(self.api, states=self.states, queue=self.queue, metrics=metrics)
        self.writer = StatusWriter(self.api, states=self.states, listener=Reports(), metrics=metrics)
        self.events = WatchEvents(
            states=self.states,
            queue=self.queue,
            checks=self.checks,
            writer=self.writer,
            metrics=metrics,
            clock=self.clock,
        )

    def clock(self) -> float:
        self.now += next(self.passing, 0.0)
        return self.now

    async def queued(self) -> list[str]:
        try:
            return await asyncio.wait_for(self.queue.take(), 0.01)
        except TimeoutError:
            return []

    async def check(self) -> None:
        """Let one checker work for a moment."""
        task = asyncio.create_task(self.checks.run())
        await asyncio.sleep(0.01)
        task.cancel()

    async def write_final(self) -> None:
        self.writer.offer(
            WHO, WriteStatus(status={"phase": "Succeeded"}, rev=3, urgency=Urgency.FINAL), version=0
        )
        assert await self.writer.drain(seconds=1)


def test_a_new_object_is_taken_in_and_an_older_or_the_same_state_is_not() -> None:
    async def play() -> None:
        scene = Scene()
        scene.events.event("ADDED", body(version="100"))
        assert await scene.queued() == ["uid-1"]
        scene.queue.done("uid-1")
        for stale in ("100", "99"):
            scene.events.event("MODIFIED", body(version=stale))
        assert await scene.queued() == []
        scene.events.event("MODIFIED", body(version="101"))
        assert await scene.queued() == ["uid-1"]

    asyncio.run(play())


def test_a_list_is_queued_together_with_the_events_just_after_it() -> None:
    async def play() -> None:
        scene = Scene()
        scene.events.event(None, body(uid="z", version="7"))
        scene.now += 0.1
        scene.events.event("ADDED", body(uid="a", version="8"))
        assert await scene.queued() == []
        scene.now += 0.2
        assert sorted(await scene.queued()) == ["a", "z"]
        scene.events.event("ADDED", body(uid="later", version="9"))
        assert await scene.queued() == ["later"]

    asyncio.run(play())


def test_a_list_keeps_its_order_even_if_one_run_is_slow_to_read() -> None:
    async def play() -> None:
        scene = Scene()
        scene.passing = iter([0.0, 0.02])
        scene.events.event(None, body(uid="z", version="7"))
        scene.events.event("ADDED", body(uid="a", version="8"))
        scene.now = 1000.26
        assert await scene.queued() == ["z", "a"]

    asyncio.run(play())


@pytest.mark.parametrize(
    ("found", "presence"),
    [
        (None, Presence.GONE),
        (body(uid="another"), Presence.GONE),
        (body(version="150", shown={"phase": "Succeeded"}), Presence.PRESENT),
    ],
)
def test_what_left_the_watch_is_looked_at_before_it_is_gone(found: Any, presence: Presence) -> None:
    async def play() -> None:
        scene = Scene()
        scene.events.event("ADDED", body())
        scene.queue.done(*(await scene.queued()))
        scene.api.found = found
        scene.events.event("DELETED", body(version="150"))
        assert scene.states.presence("uid-1") is Presence.PRESENT
        await scene.check()
        assert scene.states.presence("uid-1") is presence
        assert await scene.queued() == ["uid-1"]

    asyncio.run(play())


def test_an_end_that_the_operator_wrote_needs_no_check_and_late_events_are_ignored() -> None:
    async def play() -> None:
        scene = Scene()
        scene.events.event("ADDED", body())
        scene.queue.done(*(await scene.queued()))
        await scene.write_final()
        scene.events.event("MODIFIED", body(version="150"))
        assert await scene.queued() == []
        scene.events.event("DELETED", body(version="200"))
        await scene.check()
        assert scene.states.presence("uid-1") is Presence.PRESENT

    asyncio.run(play())


def test_the_echo_of_our_own_write_needs_no_look_but_what_differs_from_it_does() -> None:
    async def play() -> None:
        scene = Scene()
        scene.events.event("ADDED", body())
        scene.queue.done(*(await scene.queued()))
        shown = {"phase": "Running"}
        scene.writer.offer(WHO, WriteStatus(status=shown, rev=2, urgency=Urgency.PHASE), version=0)
        # The watch may bring it before the API server's answer does.
        scene.api.meanwhile = lambda: scene.events.event("MODIFIED", body(version="200", shown=shown))
        assert await scene.writer.drain(seconds=1)
        assert await scene.queued() == []
        # The user's change of the spec came in between.
        scene.events.event("MODIFIED", body(version="201", shown=shown, generation=2))
        assert await scene.queued() == ["uid-1"]
        scene.queue.done("uid-1")
        scene.events.event("MODIFIED", body(version="202", shown={"phase": "Odd"}, generation=2))
        assert await scene.queued() == ["uid-1"]

    asyncio.run(play())


def test_a_ttl_that_was_changed_as_the_run_ended_is_seen() -> None:
    async def play() -> None:
        scene = Scene()
        scene.events.event("ADDED", body())
        scene.queue.done(*(await scene.queued()))
        await scene.write_final()
        spec = {"task": "demo.add", "ttlSecondsAfterFinished": 7}
        scene.events.event("DELETED", body(version="201", spec=spec, generation=2))
        snapshot = scene.states.snapshot("uid-1")
        assert snapshot is not None
        assert snapshot.spec.ttl_seconds_after_finished == 7
        assert await scene.queued() == ["uid-1"]

    asyncio.run(play())


def test_an_end_that_somebody_undoes_is_written_again() -> None:
    async def play() -> None:
        scene = Scene()
        scene.events.event("ADDED", body())
        scene.queue.done(*(await scene.queued()))
        await scene.write_final()
        assert scene.states.is_final_written("uid-1")
        scene.events.event("ADDED", body(version="201"))
        assert not scene.states.is_final_written("uid-1")
        assert await scene.queued() == ["uid-1"]

    asyncio.run(play())


def test_what_is_gone_does_not_come_back_by_a_late_event() -> None:
    async def play() -> None:
        scene = Scene()
        scene.states.mark_gone("uid-1")
        scene.events.event("MODIFIED", body(version="999"))
        assert scene.states.presence("uid-1") is Presence.GONE

    asyncio.run(play())


@pytest.mark.parametrize(
    "junk", [{}, {"metadata": None}, {"metadata": {"uid": 7}}, {"metadata": {"uid": "u"}, "spec": [1]}]
)
def test_invalid_data_does_not_stop_it(junk: dict[str, Any]) -> None:
    scene = Scene()
    for kind in (None, "ADDED", "MODIFIED", "DELETED"):
        scene.events.event(kind, junk)
