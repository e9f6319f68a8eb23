"""The writer, with a fake transport: refusals, missing objects and throttling."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from kelery.kube.answer import Answer, KubeError
from kelery.taskrun.resource import Identity
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.taskrun.actions import Urgency, WriteStatus
from kelery_operator.taskrun.run_state import RunStates
from kelery_operator.taskrun.snapshot import Snapshot
from kelery_operator.taskrun.status.writer import StatusWriter
from kelery_operator.taskrun.status_write import Write
from tests.unit.operator.observations import met

WHO = Identity(uid="u", namespace="ns", name="run")
GOOD = Answer(status=200, body={"metadata": {"resourceVersion": "200"}})


class Transport:
    """Answers from a list, then well."""

    def __init__(self, *answers: Answer | KubeError) -> None:
        self.answers = list(answers)
        self.sent: list[Mapping[str, Any]] = []
        #: Of each, the version that the object must have; 0: any.
        self.versions: list[int] = []
        self.at_once = self.most_at_once = 0

    async def put_status(
        self, namespace: str, name: str, *, uid: str, status: Mapping[str, Any], version: int
    ) -> Answer:
        self.sent.append(status)
        self.versions.append(version)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.001)
        self.at_once -= 1
        answer = self.answers.pop(0) if self.answers else GOOD
        if isinstance(answer, KubeError):
            raise answer
        return answer


class Reports:
    """What the writer reported to its listener."""

    def __init__(self) -> None:
        self.written: list[Write] = []
        self.changed: list[Identity] = []
        self.something = asyncio.Event()

    def status_written(self, write: Write, snapshot: Snapshot) -> None:
        self.written.append(write)
        self.something.set()

    def object_changed(self, who: Identity) -> None:
        self.changed.append(who)
        self.something.set()


def final(**status: Any) -> WriteStatus:
    return WriteStatus(status={"phase": "Succeeded", **status}, rev=3, urgency=Urgency.FINAL)


def writer_for(
    transport: Transport, *, states: RunStates | None = None, reports: Reports | None = None
) -> StatusWriter:
    """A writer for the run `WHO`, or for others that were met."""
    return StatusWriter(
        transport,
        states=states or met("u"),
        listener=reports or Reports(),
        metrics=Metrics(),
        connections=4,
    )


def play(
    transport: Transport,
    act: Callable[[StatusWriter], None],
    *,
    until: Callable[[Reports], bool],
    states: RunStates | None = None,
) -> tuple[Reports, StatusWriter]:
    """Run a writer until what is expected has happened."""

    async def scene() -> tuple[Reports, StatusWriter]:
        reports = Reports()
        writer = writer_for(transport, states=states, reports=reports)
        task = asyncio.create_task(writer.run())
        act(writer)
        async with asyncio.timeout(5):
            while not until(reports):
                reports.something.clear()
                await reports.something.wait()
        task.cancel()
        return reports, writer

    return asyncio.run(scene())


def test_a_good_answer_is_reported_with_the_version() -> None:
    states = met("u")
    reports, _ = play(
        Transport(),
        lambda w: w.offer(WHO, final(), version=0),
        until=lambda h: bool(h.written),
        states=states,
    )
    assert reports.written[0].rev == 3
    assert states.end_version("u") == 200


def test_no_answer_and_throttling_are_tried_again() -> None:
    transport = Transport(
        KubeError("away", status=0),
        KubeError("busy", status=429, retry_after=0.05),
        Answer(status=409, body={}),
    )
    play(transport, lambda w: w.offer(WHO, final(), version=0), until=lambda h: bool(h.written))
    assert len(transport.sent) == 4


def test_a_status_that_comes_late_is_dropped_and_its_object_looked_at() -> None:
    transport = Transport(Answer(status=409, body={}))
    action = WriteStatus(status={"phase": "Running"}, rev=2, urgency=Urgency.PHASE)
    reports, writer = play(
        transport, lambda w: w.offer(WHO, action, version=100), until=lambda h: bool(h.changed)
    )
    assert (reports.changed, writer.unsent(), transport.sent) == ([WHO], 0, [{"phase": "Running"}])


def test_what_the_server_refused_is_offered_again_after_the_object_has_changed() -> None:
    async def scene() -> list[Mapping[str, Any]]:
        refused = Answer(status=422, body={"details": {"causes": [{"field": "status.progress"}]}})
        transport, states = Transport(refused, Answer(status=409, body={})), met("u")
        writer = writer_for(transport, states=states)
        action = WriteStatus(status={"phase": "Running", "progress": {}}, rev=2, urgency=Urgency.PHASE)
        for version in (100, 101):
            writer.offer(WHO, action, version=version)
            assert await writer.drain(seconds=2)
        return transport.sent

    bare, whole = {"phase": "Running"}, {"phase": "Running", "progress": {}}
    assert asyncio.run(scene()) == [whole, bare, whole]


def test_an_object_that_changes_all_the_time_is_not_written_all_the_time() -> None:
    async def scene() -> int:
        transport = Transport(*[Answer(status=409, body={})] * 1000)
        writer = writer_for(transport)
        task = asyncio.create_task(writer.run())
        action = WriteStatus(status={"phase": "Running"}, rev=2, urgency=Urgency.PHASE)
        for version in range(100, 130):
            writer.offer(WHO, action, version=version)
            await asyncio.sleep(0.02)
        task.cancel()
        return len(transport.sent)

    # After 50 ms, then 50 ms later, then after pauses of at least 100 and 200 ms.
    assert 2 <= asyncio.run(scene()) <= 5


def test_all_but_the_last_status_are_for_the_object_as_it_was_with_the_one_before() -> None:
    async def scene() -> list[int]:
        transport = Transport()
        writer = writer_for(transport)
        for rev, version in ((1, 100), (2, 100), (3, 300)):
            action = WriteStatus(status={"attempt": rev}, rev=rev, urgency=Urgency.PHASE)
            writer.offer(WHO, action, version=version)
            assert await writer.drain(seconds=2)
        writer.offer(WHO, final(), version=0)
        assert await writer.drain(seconds=2)
        return transport.versions

    assert asyncio.run(scene()) == [100, 200, 300, 0]


def test_a_missing_object_is_reported_and_not_written_again() -> None:
    transport = Transport(Answer(status=404, body={}))
    reports, writer = play(
        transport, lambda w: w.offer(WHO, final(), version=0), until=lambda h: bool(h.changed)
    )
    assert (reports.changed, writer.unsent(), len(transport.sent)) == ([WHO], 0, 1)


def test_another_object_with_the_name_is_reported() -> None:
    transport = Transport(Answer(status=422, body={"details": {}}))
    reports, _ = play(transport, lambda w: w.offer(WHO, final(), version=0), until=lambda h: bool(h.changed))
    assert reports.changed == [WHO]


def test_a_rejected_status_is_shortened_to_its_outcome() -> None:
    refused = Answer(status=422, body={"details": {"causes": [{"field": "status.result"}]}})
    transport = Transport(refused)
    play(
        transport,
        lambda w: w.offer(WHO, final(result={"value": 1}), version=0),
        until=lambda h: bool(h.written),
    )
    assert transport.sent == [{"phase": "Succeeded", "result": {"value": 1}}, {"phase": "Succeeded"}]


def test_what_was_refused_is_not_offered_over_and_over() -> None:
    refused = Answer(status=422, body={"details": {"causes": [{"field": "status.progress"}]}})
    transport = Transport(refused)
    action = WriteStatus(status={"phase": "Running", "progress": {}}, rev=2, urgency=Urgency.PHASE)
    _, writer = play(transport, lambda w: w.offer(WHO, action, version=0), until=lambda h: bool(h.written))
    writer.offer(WHO, action, version=0)
    assert (writer.unsent(), len(transport.sent)) == (0, 2)


def test_many_runs_share_few_connections() -> None:
    transport = Transport()

    def act(writer: StatusWriter) -> None:
        for number in range(40):
            writer.offer(Identity(uid=str(number), namespace="ns", name="x"), final(), version=0)

    states = met(*(str(number) for number in range(40)))
    play(transport, act, until=lambda h: len(h.written) == 40, states=states)
    assert transport.most_at_once == 4


def test_draining_sends_what_waits_for_its_turn() -> None:
    async def scene() -> tuple[bool, int]:
        transport = Transport()
        writer = writer_for(transport)
        passing = WriteStatus(status={"phase": "Admitted"}, rev=1, urgency=Urgency.PASSING)
        writer.offer(WHO, passing, version=0)
        good = await writer.drain(seconds=2)
        return good, len(transport.sent)

    assert asyncio.run(scene()) == (True, 1)


def test_draining_is_patient_with_a_server_that_refuses_and_gives_up_in_the_end() -> None:
    async def scene() -> tuple[bool, int]:
        transport = Transport(*[KubeError("away", status=0)] * 1000)
        writer = writer_for(transport)
        writer.offer(WHO, final(), version=0)
        good = await writer.drain(seconds=0.3)
        return good, len(transport.sent)

    good, sent = asyncio.run(scene())
    assert not good
    # At once, and after pauses of at least 50, 100 and 200 ms.
    assert 2 <= sent <= 4
