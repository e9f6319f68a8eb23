"""TaskRuns against the raw work that they consist of.

The lower bound of one run is the work that no such design can avoid: object creation, a Celery round trip, a
status write. The raw objects are TaskRuns in a namespace without an operator, and their status is one that
the operator wrote. So both sides have objects of the same size under the same rules.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any

import psutil
from celery import Celery

from kelery_bench.case import Case, Figures
from kelery_bench.clients.api_client import Prepared, connected, prepare
from kelery_bench.clients.taskruns import collection, creation, status_write, watched_runs
from kelery_bench.figures.percentiles import percentiles
from kelery_bench.loads.object_times import one_by_one, rate_of, run_measure
from kelery_bench.local_stack import LocalStack, StackService
from kelery_bench.size import Size

_TASK = "bench.noop"
_WARM_UP = 5
_SHOWN = (50, 95, 99)
#: Longer than the task needs, unless it hangs.
_CELERY_SECONDS = 120.0
_QUIET_SHARE = 0.1
_QUIET_WINDOW_SECONDS = 0.3
_QUIET_PATIENCE_SECONDS = 15.0


@contextlib.contextmanager
def cases(stack: LocalStack, *, size: Size) -> Iterator[list[Case]]:
    """The cases; they start their own operator, so the stack must have none."""
    served, bare = stack.create_namespace("served"), stack.create_namespace("bare")
    operator = stack.start_operator(env={"KELERY_NAMESPACES": served})
    client = Celery("bench-client", broker=stack.valkey.url, backend=stack.valkey.url)
    try:
        measures = _Measures(stack, served=served, bare=bare, operator=operator, client=client)
        turns, objects = size.pick(quick=40, full=200), size.pick(quick=150, full=1000)
        rounds = size.pick(quick=3, full=7)
        yield [
            Case(
                name="taskrun-latency",
                title="TaskRun, from creation until a watcher sees Succeeded, one at a time",
                reference="lower bound: object creation + Celery round trip + status write",
                unit="ms",
                ours=lambda: measures.through_kelery(turns),
                theirs=lambda: measures.floor(turns),
                rounds=rounds,
            ),
            Case(
                name="taskrun-throughput",
                title=f"{objects:,} TaskRuns created at once, until a watcher has seen all succeed",
                reference="the same number of objects created, and their status written once",
                unit="runs/s",
                ours=lambda: measures.many_through_kelery(objects),
                theirs=lambda: measures.many_bare(objects),
                rounds=rounds,
            ),
        ]
    finally:
        client.close()
        operator.stop()


class _Measures:
    """The measurements; each call has its own connections and leaves no objects."""

    def __init__(
        self, stack: LocalStack, *, served: str, bare: str, operator: StackService, client: Celery
    ) -> None:
        self._access = stack.access
        self._served = served
        self._bare = bare
        self._operator = operator
        self._client = client
        self._numbers = itertools.count(1)
        self._final_status = run_measure(self._sample_status())

    def through_kelery(self, turns: int) -> Figures:
        """Runs one at a time."""
        return self._tidied(self._one_by_one(turns))

    def floor(self, turns: int) -> Figures:
        """The raw steps of a run, one after the other; the times of a turn are added."""
        return self._tidied(self._floor(turns))

    def many_through_kelery(self, count: int) -> Figures:
        """Runs over several connections at once."""
        return self._tidied(self._many(count))

    def many_bare(self, count: int) -> Figures:
        """Raw objects over the same number of connections."""
        return self._tidied(self._many_bare(count))

    def _tidied(self, measure: Coroutine[Any, Any, Figures]) -> Figures:
        try:
            return run_measure(measure)
        finally:
            run_measure(self._delete_all())
            _wait_until_quiet(self._operator.pid)

    async def _one_by_one(self, turns: int) -> Figures:
        creations = {name: self._creation(name) for name in self._names(turns + _WARM_UP)}
        times = await one_by_one(self._access, creations, watched=watched_runs(self._access, self._served))
        return percentiles(times[_WARM_UP:], shown=_SHOWN)

    async def _floor(self, turns: int) -> Figures:
        times = []
        async with connected(self._access) as api:
            for name in self._names(turns + _WARM_UP):
                create, write = self._bare_steps(name)
                began = time.perf_counter()
                await api.send(create)
                # This blocks the event loop, which has nothing else to do.
                self._client.send_task(_TASK).get(timeout=_CELERY_SECONDS)
                await api.send(write)
                times.append(time.perf_counter() - began)
        return percentiles(times[_WARM_UP:], shown=_SHOWN)

    async def _many(self, count: int) -> Figures:
        requests = {name: [self._creation(name)] for name in self._names(count)}
        return {
            "rate": await rate_of(self._access, requests, watched=watched_runs(self._access, self._served))
        }

    async def _many_bare(self, count: int) -> Figures:
        requests = {name: self._bare_steps(name) for name in self._names(count)}
        return {"rate": await rate_of(self._access, requests, watched=watched_runs(self._access, self._bare))}

    async def _sample_status(self) -> Mapping[str, Any]:
        """A final status that the operator wrote."""
        (name,) = self._names(1)
        async with connected(self._access) as api, watched_runs(self._access, self._served) as ends:
            await api.send(self._creation(name))
            status: Mapping[str, Any] = (await ends.body(name))["status"]
            return status

    async def _delete_all(self) -> None:
        async with connected(self._access) as api:
            for namespace in (self._served, self._bare):
                await api.send(prepare(self._access.server, "DELETE", collection(namespace), status=200))

    def _creation(self, name: str) -> Prepared:
        return creation(self._access, namespace=self._served, name=name, spec={"task": _TASK})

    def _bare_steps(self, name: str) -> list[Prepared]:
        """A raw object's creation and its one status write."""
        create = creation(self._access, namespace=self._bare, name=name, spec={"task": _TASK})
        write = status_write(self._access, namespace=self._bare, name=name, status=self._final_status)
        return [create, write]

    def _names(self, count: int) -> list[str]:
        return [f"run-{number}" for number in itertools.islice(self._numbers, count)]


def _wait_until_quiet(pid: int) -> None:
    """Wait until a process has handled the deletions, so that it does not disturb the next measurement."""
    process = psutil.Process(pid)
    deadline = time.monotonic() + _QUIET_PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if process.cpu_percent(interval=_QUIET_WINDOW_SECONDS) <= _QUIET_SHARE * 100:
            return
