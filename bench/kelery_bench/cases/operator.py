"""The operator's cost of a run against a textbook operator: processor time, API writes, bytes in etcd and
Redis.

Both operators run all the time, with the same API server, Redis and worker. The cost of each is read from its
own process and counters during its own runs. It ends when the final status was seen; the deletion is measured
separately.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import redis

from kelery_bench.case import Case, Figures
from kelery_bench.cases.operator_start import start_case
from kelery_bench.clients.kube_objects import TASK_RUN, Kind, KubeObjects, kube_session
from kelery_bench.figures.costs import bytes_of_run, cpu_seconds, stored_bytes, writes_of
from kelery_bench.local_stack import LocalStack, StackService
from kelery_bench.size import Size
from kelery_bench.textbook.service import CELERY_TASK, start_textbook_operator
from kelery_dev.errors import DevError

_CONNECTIONS = 8
_PER_SECOND = 30.0
#: Work after the last status, such as the watch event of the own write, is part of the cost.
_SETTLE_SECONDS = 1.0
_RUN_SECONDS = 120.0
#: The number of runs whose size is read.
_SIZED = 5
_ENDED = {"Succeeded", "SUCCESS"}
_ENDED_BADLY = {"Failed", "Cancelled", "FAILURE", "REVOKED"}

_SPEC = {"task": "bench.echo", "args": [{"tenant": "tenant-7", "pages": [1, 2, 3]}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One of the two designs."""

    stack: LocalStack
    operator: StackService
    kind: Kind
    #: The field of the status that shows the end.
    state: str


@contextlib.contextmanager
def cases(stack: LocalStack, *, size: Size) -> Iterator[list[Case]]:
    """Runs at an even pace, runs at once, and the operator's start."""
    if stack.operator is None or stack.worker is None:
        raise DevError("this group needs a stack with operator and worker")
    textbook = start_textbook_operator(stack)
    kelery = _Side(stack=stack, operator=stack.operator, kind=TASK_RUN, state="phase")
    reference = _Side(stack=stack, operator=textbook, kind=CELERY_TASK, state="state")
    count = size.pick(quick=40, full=300)
    rounds = size.pick(quick=1, full=5)
    pace = Case(
        name="operator-cost",
        title=f"operator: cost of a run, {_PER_SECOND:g} runs a second",
        reference="textbook kopf operator",
        unit="per run",
        ours=lambda: asyncio.run(_cost(kelery, count=count, per_second=_PER_SECOND)),
        theirs=lambda: asyncio.run(_cost(reference, count=count, per_second=_PER_SECOND)),
        rounds=rounds,
    )
    burst = Case(
        name="operator-cost-burst",
        title=f"operator: cost of a run, {count} runs at once",
        reference="textbook kopf operator",
        unit="per run",
        ours=lambda: asyncio.run(_cost(kelery, count=count)),
        theirs=lambda: asyncio.run(_cost(reference, count=count)),
        rounds=rounds,
    )
    try:
        if size is Size.QUICK:
            yield [pace]
        else:
            with start_case(rounds=rounds) as start:
                yield [pace, burst, start]
    finally:
        textbook.stop()


async def _cost(side: _Side, *, count: int, per_second: float | None = None) -> Figures:
    """Processor time in milliseconds, writes and bytes, on average for one run."""
    stack, operator = side.stack, side.operator
    namespace = stack.create_namespace("cost")
    names = [f"run-{number}" for number in range(count)]
    bodies = [side.kind.body(name, _SPEC) for name in names]
    ends = _Ends(side.state, wanted=count)
    async with kube_session(stack.access) as session:
        objects = KubeObjects(session, path=side.kind.path(namespace))
        cpu, writes = cpu_seconds(operator.pid), await _writes(side)
        async with objects.watched(ends.on_event):
            await objects.create_all(bodies, connections=_CONNECTIONS, per_second=per_second)
            await ends.wait()
        await asyncio.sleep(_SETTLE_SECONDS)
        ended_cpu, ended_writes = cpu_seconds(operator.pid), await _writes(side)
        sizes = await _sizes(side, objects=objects, namespace=namespace, names=names)
        # Reading the sizes is not part of the operator's cost.
        before_deletion = cpu_seconds(operator.pid)
        await objects.delete_all()
        await asyncio.sleep(_SETTLE_SECONDS)
        deletion = cpu_seconds(operator.pid) - before_deletion
        deleted_writes = await _writes(side)
    return {
        "cpu_ms": (ended_cpu - cpu) * 1000 / count,
        "writes": (ended_writes - writes) / count,
        **sizes,
        "cpu_ms_and_deleted": (ended_cpu - cpu + deletion) * 1000 / count,
        "writes_and_deleted": (deleted_writes - writes) / count,
    }


class _Ends:
    """Counts the ended objects."""

    def __init__(self, field: str, *, wanted: int) -> None:
        self._field = field
        self._wanted = wanted
        self._ended: set[str] = set()
        self._bad: dict[str, Any] = {}
        self._done = asyncio.Event()

    def on_event(self, kind: str, body: Mapping[str, Any]) -> None:
        """Count one event of the watch."""
        status = body.get("status") or {}
        state = status.get(self._field)
        if state in _ENDED:
            self._ended.add(body["metadata"]["name"])
        elif state in _ENDED_BADLY:
            self._bad[body["metadata"]["name"]] = status
        if self._bad or len(self._ended) >= self._wanted:
            self._done.set()

    async def wait(self) -> None:
        """Wait until all have ended."""
        try:
            async with asyncio.timeout(_RUN_SECONDS):
                await self._done.wait()
        except TimeoutError:
            raise DevError(
                f"only {len(self._ended)} of {self._wanted} runs ended within {_RUN_SECONDS:g} s"
            ) from None
        if self._bad:
            raise DevError(f"a run of the benchmark failed: {dict(itertools.islice(self._bad.items(), 1))}")


async def _writes(side: _Side) -> int:
    return await asyncio.to_thread(writes_of, side.stack.plane, side.kind)


async def _sizes(side: _Side, *, objects: KubeObjects, namespace: str, names: list[str]) -> Figures:
    """The median size of some runs in both stores, in bytes."""
    etcd, memory = [], []
    with redis.Redis.from_url(side.stack.valkey.url) as client:
        for name in names[:: max(1, len(names) // _SIZED)][:_SIZED]:
            uid = (await objects.get(name))["metadata"]["uid"]
            etcd.append(stored_bytes(side.stack.plane, side.kind, namespace=namespace, name=name))
            memory.append(bytes_of_run(client, uid))
    return {"etcd_bytes": statistics.median(etcd), "redis_bytes": statistics.median(memory)}
