"""When the operator looks at a run that the ledger's stream names."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import pytest

from kelery.ledger.types import WrittenEvent
from kelery.run.phases import Phase
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.ledger_events import LedgerEvents
from kelery_operator.taskrun.queue_positions import QueuePositions
from kelery_operator.taskrun.run_state import RunStates
from tests.support.busy_stream import BusyStream
from tests.unit.operator.observations import body, put

START = 1000.0


class Stream:
    """A ledger that reports some changes, and then none."""

    def __init__(self, *told: tuple[str, Phase, str]) -> None:
        self._answers: list[Any] = [
            "0-0",
            [
                WrittenEvent(id=f"{n}-0", uid=uid, rev=n, phase=phase, reason=reason, cluster="here", key="")
                for n, (uid, phase, reason) in enumerate(told, start=1)
            ],
        ]
        #: Set when it is asked for more: all reported changes were handled.
        self.told_all = asyncio.Event()

    async def run(self, _: object) -> Any:
        if not self._answers:
            self.told_all.set()
            await asyncio.Event().wait()
        return self._answers.pop(0)


async def due_of(*told: tuple[str, Phase, str], gone: str = "") -> list[tuple[str, float]]:
    """The runs in the order of the queue, and the seconds until then, on a fake clock."""
    now = START
    states, queue = RunStates(), WorkQueue[str](clock=lambda: now)
    for uid in ("a", "b"):
        put(states, body(uid=uid))
    states.mark_gone(gone)
    stream = Stream(*told)
    ledger = cast("Any", stream)
    positions = QueuePositions(ledger, states=states, queue=queue)
    follower = LedgerEvents(ledger, cluster="here", states=states, queue=queue, positions=positions)
    await follower.begin()
    following = asyncio.create_task(follower.run())
    await stream.told_all.wait()
    found = []
    for step in range(60):
        now = START + step * 0.01
        try:
            found += [(uid, round(now - START, 2)) for uid in await asyncio.wait_for(queue.take(), 0.001)]
        except TimeoutError:
            continue
    following.cancel()
    return found


@pytest.mark.parametrize(
    ("phase", "reason", "after"),
    [
        (Phase.SUCCEEDED, "Completed", 0.0),
        (Phase.FAILED, "TaskError", 0.0),
        (Phase.CANCELLED, "Deleted", 0.0),
        (Phase.RUNNING, "Started", 0.05),
        (Phase.CANCELLING, "CancelledByUser", 0.05),
        (Phase.WAITING, "WaitingForKey", 0.05),
        (Phase.ADMITTED, "RetryBackoff", 0.05),
        (Phase.ADMITTED, "WaitingForWorker", 0.25),
    ],
)
def test_an_end_is_looked_at_at_once_and_what_may_pass_when_it_has_lasted(
    phase: Phase, reason: str, after: float
) -> None:
    assert asyncio.run(due_of(("a", phase, reason))) == [("a", after)]


def test_of_a_short_run_only_the_end_is_looked_at() -> None:
    steps = [(Phase.ADMITTED, "WaitingForWorker"), (Phase.RUNNING, "Started"), (Phase.SUCCEEDED, "Completed")]
    found = asyncio.run(due_of(*[("a", phase, reason) for phase, reason in steps]))
    assert len(found) == 1


def test_what_happens_to_a_run_whose_object_is_gone_does_not_wait() -> None:
    assert asyncio.run(due_of(("b", Phase.ADMITTED, "WaitingForWorker"), gone="b")) == [("b", 0.0)]


def test_a_run_that_is_not_met_yet_is_not_looked_at() -> None:
    assert asyncio.run(due_of(("stranger", Phase.SUCCEEDED, "Completed"))) == []


@pytest.mark.parametrize(("cluster", "is_spared"), [("", True), ("elsewhere", True), ("here", False)])
def test_changes_of_others_runs_are_read_together(cluster: str, is_spared: bool) -> None:
    async def read() -> tuple[int, float]:
        ledger, queue = BusyStream(cluster=cluster, phase=Phase.RUNNING), WorkQueue[str]()
        states = RunStates()
        positions = QueuePositions(cast("Any", ledger), states=states, queue=queue)
        follower = LedgerEvents(
            cast("Any", ledger), cluster="here", states=states, queue=queue, positions=positions
        )
        began = time.monotonic()
        following = asyncio.create_task(follower.run())
        await asyncio.sleep(0.2)
        following.cancel()
        return ledger.reads, time.monotonic() - began

    reads, seconds = asyncio.run(read())
    # At most one in ten milliseconds, and the first ones; without a pause, hundreds.
    assert (reads <= 100 * seconds + 5) is is_spared
