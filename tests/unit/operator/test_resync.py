"""The comparison with the cluster, of which the API server shows page after page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from kelery.kube.answer import KubeError
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.runtime.scope import Scope
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.existence_checks import ExistenceChecks
from kelery_operator.taskrun.resync import Comparison, Resync
from kelery_operator.taskrun.run_state import RunStates
from tests.unit.operator.observations import body


class Pages:
    """An API server that lists by name, two runs at a time."""

    def __init__(self, bodies: Sequence[Mapping[str, Any]], *, breaks_off: bool = False) -> None:
        self.bodies = sorted(bodies, key=lambda body: body["metadata"]["name"])
        #: After the first page.
        self.breaks_off = breaks_off

    async def pages(
        self, namespaces: Sequence[str], *, field_selector: str
    ) -> AsyncIterator[Sequence[Mapping[str, Any]]]:
        for start in range(0, len(self.bodies), 2):
            await asyncio.sleep(0.001)
            yield self.bodies[start : start + 2]
            if self.breaks_off:
                raise KubeError("the list has expired", status=410)

    async def get(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return None


class EmptyLedger:
    """Knows no run."""

    async def run(self, call: Any) -> set[str]:
        return set()


def comparison_of(api: Pages) -> tuple[Comparison, WorkQueue[str]]:
    """A comparison, and its work queue."""
    states, metrics = RunStates(), Metrics()
    queue = WorkQueue(place=states.place)
    comparison = Comparison(
        api=api,  # type: ignore[arg-type]  # what it uses of it
        ledger=EmptyLedger(),  # type: ignore[arg-type]  # what it uses of it
        scope=Scope(cluster="cluster"),
        states=states,
        queue=queue,
        checks=ExistenceChecks(api, states=states, queue=queue, metrics=metrics),
    )
    return comparison, queue


BODIES = [body(uid=f"uid-{n}", name=f"run-{9 - n}", version=str(100 + n)) for n in range(5)]


def test_runs_are_handled_in_the_order_of_their_creation_across_the_pages_of_a_list() -> None:
    async def play() -> None:
        comparison, queue = comparison_of(Pages(BODIES))
        resync = Resync(comparison, every_seconds=60, metrics=Metrics())
        _, taken = await asyncio.gather(resync.first(), queue.take())
        assert taken == [f"uid-{n}" for n in range(5)]

    asyncio.run(play())


def test_runs_of_a_list_that_breaks_off_are_dealt_with_as_far_as_it_came() -> None:
    async def play() -> None:
        comparison, queue = comparison_of(Pages(BODIES, breaks_off=True))
        with pytest.raises(KubeError, match="expired"):
            await comparison.run()
        assert await asyncio.wait_for(queue.take(), 1) == ["uid-3", "uid-4"]

    asyncio.run(play())
