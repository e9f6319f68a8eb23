"""What is foreseen of a run without asking the ledger holds for the moment only: here the world goes on while
the ledger is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

from kelery.kube.answer import Answer
from kelery.ledger.types import Submitted
from kelery.run.model import Record
from kelery.run.phases import Phase
from kelery.settings import LedgerSettings
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.runtime.outage import Outage
from kelery_operator.runtime.scope import Scope
from kelery_operator.runtime.watchdog import Watchdog
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.settings import OperatorSettings
from kelery_operator.taskrun.existence_checks import ExistenceChecks
from kelery_operator.taskrun.ledger_calls import LedgerCalls
from kelery_operator.taskrun.planning import Planner
from kelery_operator.taskrun.reconcile import Reconciler
from kelery_operator.taskrun.run_state import Presence, RunStates
from kelery_operator.taskrun.status.answers import WriteAnswers
from kelery_operator.taskrun.status.writer import StatusWriter
from tests.support import sample_records as records
from tests.unit.operator.observations import body, put
from tests.unit.operator.test_writer import GOOD, Transport


class World:
    """An operator's inside over a ledger that knows every run, and shows the records that it was given.

    `meanwhile` happens at each look at records, and while something is acknowledged.
    """

    def __init__(
        self,
        meanwhile: Callable[[RunStates, WorkQueue[str]], None],
        *,
        records: Mapping[str, Record] | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._meanwhile = meanwhile
        self._records = records or {}
        self.states, self.transport = RunStates(), transport or Transport()
        self.queue = WorkQueue(place=self.states.place)
        #: The functions that were called, and of which run.
        self.called: list[tuple[str, str]] = []
        states, queue, metrics = self.states, self.queue, Metrics()
        checks = ExistenceChecks(cast("Any", None), states=states, queue=queue, metrics=metrics)
        answers = WriteAnswers(states=states, queue=queue, checks=checks)
        self.writer = writer = StatusWriter(self.transport, states=states, listener=answers, metrics=metrics)
        outage = Outage(metrics=metrics, on_recovery=lambda: None)
        planner = Planner(
            scope=Scope(cluster="here"),
            settings=OperatorSettings(ledger=LedgerSettings(redis_url="redis://nowhere")),
            states=states,
            queue=queue,
            writer=writer,
            metrics=metrics,
        )
        calls = LedgerCalls(cast("Any", self), planner=planner, states=states, queue=queue, outage=outage)
        self.reconciler = Reconciler(
            queue=queue, planner=planner, calls=calls, outage=outage, metrics=metrics, watchdog=Watchdog()
        )

    async def run(self, call: Any) -> Any:
        uids = [str(word) for word in call.words("p")[6:]]
        self.called += [("view", uid) for uid in uids]
        await asyncio.sleep(0)
        self._meanwhile(self.states, self.queue)
        return [self._records.get(uid) for uid in uids]

    async def run_all(self, calls: list[Any]) -> list[Any]:
        words = [call.words("p") for call in calls]
        called = [
            (str(said[1]).removeprefix("kelery_v1_"), str(said[5])) for said in words if said[0] == "FCALL"
        ]
        self.called += called
        if any(function == "acknowledge" for function, _ in called):
            await asyncio.sleep(0)
            self._meanwhile(self.states, self.queue)
        return [Submitted(new=False, phase=Phase.RUNNING, reason="Started", rev=3) for _ in words]


def after_a_round(meanwhile: Callable[[RunStates, WorkQueue[str]], None]) -> World:
    """After a round over "new", of which nothing is known, and "old", which has a status."""

    async def scene() -> World:
        world = World(meanwhile)
        put(world.states, body(uid="new", name="new"))
        put(world.states, body(uid="old", name="old", shown={"phase": "Waiting"}))
        for uid in ("new", "old"):
            world.queue.add(uid)
        working = asyncio.create_task(world.reconciler.run())
        await asyncio.sleep(0.1)
        working.cancel()
        return world

    return asyncio.run(scene())


def test_a_status_that_comes_while_the_ledger_is_asked_about_others_loses_nothing() -> None:
    started = {"phase": "Running", "reason": "Started", "attempt": 1, "startTime": "2026-11-22T11:59:01Z"}

    def starts(states: RunStates, _: WorkQueue[str]) -> None:
        if states.presence("new") is Presence.PRESENT and not getattr(states.snapshot("new"), "status", None):
            put(states, body(uid="new", name="new", version="200", shown=started))

    world = after_a_round(starts)
    assert ("submit", "new") in world.called
    # That it is lost may be said only when the ledger was asked for it and did not know it.
    assert world.called.index(("submit", "new")) < world.called.index(("view", "new"))


def test_a_deletion_that_comes_while_the_ledger_is_asked_about_others_is_handled() -> None:
    def goes(states: RunStates, queue: WorkQueue[str]) -> None:
        if states.presence("new") is Presence.PRESENT:
            states.mark_gone("new")
            queue.add("new")

    world = after_a_round(goes)
    assert ("view", "new") in world.called


def versions_named(world: World, *, seconds: float = 0.5) -> list[int]:
    """In the writes of "uid-1", which is shown as running."""

    async def scene() -> list[int]:
        put(world.states, body(shown={**LATE, "startTime": "2026-11-22T11:59:01Z"}))
        world.queue.add("uid-1")
        working = [asyncio.create_task(part.run()) for part in (world.reconciler, world.writer)]
        await asyncio.sleep(seconds)
        for task in working:
            task.cancel()
        return world.transport.versions

    return asyncio.run(scene())


def test_a_record_that_was_asked_for_before_the_object_changed_is_not_taken_for_newer() -> None:
    def ends(states: RunStates, _: WorkQueue[str]) -> None:
        put(states, body(version="300", shown={"phase": "Succeeded"}))

    outdated = Transport(Answer(status=409, body={}))
    world = World(ends, records={"uid-1": records.running(uid="uid-1")}, transport=outdated)
    assert versions_named(world) == [100]


def test_an_end_that_the_ledger_knows_replaces_any_status_and_one_that_it_forgot_does_not() -> None:
    assert versions_named(World(lambda *_: None, records={"uid-1": ENDED})) == [0]
    assert versions_named(World(lambda *_: None)) == [100]


LATE = {"phase": "Running"}
ENDED = records.succeeded("3", uid="uid-1")


def phases_written(world: World) -> list[str]:
    """Of "uid-1", which has ended and is shown as running, until nothing is left to do."""

    async def scene() -> list[str]:
        put(world.states, body(shown=LATE))
        world.queue.add("uid-1")
        working = asyncio.create_task(world.reconciler.run())
        # Longer than an acknowledgement waits for others, and longer than it takes until a check.
        await asyncio.sleep(2.5)
        working.cancel()
        return [sent["phase"] for sent in world.transport.sent]

    return asyncio.run(scene())


def test_an_end_that_is_undone_before_its_write_is_answered_is_written_again() -> None:
    class Undoing(Transport):
        """Somebody undoes the first write, which is heard of before its answer."""

        async def put_status(self, namespace: str, name: str, **said: Any) -> Answer:
            await super().put_status(namespace, name, **said)
            if len(self.sent) == 1:
                put(world.states, body(version="201", shown=LATE))
                world.queue.add("uid-1")
                await asyncio.sleep(0.05)
                return GOOD
            return Answer(status=200, body={"metadata": {"resourceVersion": "202"}})

    world = World(lambda states, queue: None, records={"uid-1": ENDED}, transport=Undoing())
    assert phases_written(world) == ["Succeeded"] * 2


def test_an_end_that_is_undone_while_it_is_acknowledged_is_written_again() -> None:
    def undo(states: RunStates, queue: WorkQueue[str]) -> None:
        if ("acknowledge", "uid-1") in world.called and len(world.transport.sent) == 1:
            put(states, body(version="300", shown=LATE))
            queue.add("uid-1")

    good = Answer(status=200, body={"metadata": {"resourceVersion": "301"}})
    world = World(undo, records={"uid-1": ENDED}, transport=Transport(GOOD, good))
    assert phases_written(world) == ["Succeeded"] * 2
