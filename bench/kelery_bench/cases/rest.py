"""REST: a run and its result in one request, against plain Celery on the same worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from kelery_bench.case import Case, Figures
from kelery_bench.clients.gateway_load import GatewayLoad
from kelery_bench.clients.plain_celery import plain_celery
from kelery_bench.figures.percentiles import percentiles
from kelery_bench.local_stack import LocalStack
from kelery_bench.size import Size

_TASK = "bench.noop"
_AT_ONCE = 32


@contextmanager
def cases(stack: LocalStack, *, size: Size) -> Iterator[list[Case]]:
    """The cases; they need the stack's gateway and worker."""
    one_by_one = size.pick(quick=40, full=200)
    in_all = size.pick(quick=10, full=50) * _AT_ONCE
    rounds = size.pick(quick=3, full=7)
    load = GatewayLoad(
        url=stack.gateway_url,
        path="/v1/namespaces/default/taskruns?wait=30s",
        body={"spec": {"task": _TASK}},
        status=202,
        contains=b'"phase":"Succeeded"',
    )
    with plain_celery(stack.valkey.url) as plain:

        def our_times() -> Figures:
            return percentiles(asyncio.run(load.latencies(count=one_by_one)))

        def their_times() -> Figures:
            return percentiles([plain.round_trip(_TASK) for _ in range(one_by_one)])

        def our_rate() -> Figures:
            return {"rate": asyncio.run(load.throughput(count=in_all, connections=_AT_ONCE))}

        def their_rate() -> Figures:
            return {"rate": plain.throughput(_TASK, count=in_all, at_once=_AT_ONCE)}

        yield [
            Case(
                name="rest-latency",
                title="REST: POST ?wait of a no-op until its result, one at a time",
                reference="plain Celery: apply_async().get() on the same worker",
                unit="ms",
                ours=our_times,
                theirs=their_times,
                rounds=rounds,
            ),
            Case(
                name="rest-throughput",
                title=f"REST: POST ?wait of a no-op, {_AT_ONCE} at a time",
                reference=f"plain Celery: apply_async().get() in {_AT_ONCE} threads on the same worker",
                unit="runs/s",
                ours=our_rate,
                theirs=their_rate,
                rounds=rounds,
            ),
        ]
