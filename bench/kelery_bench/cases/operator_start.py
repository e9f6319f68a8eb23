"""The operator's start with many finished runs, against none.

Two namespaces of a separate cluster have the same live runs, in a queue without workers. One of them also has
finished runs, written here with a final status. The operator is started for each namespace in turns, each
with its own ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from kelery_bench.case import Case, Figures
from kelery_bench.clients.kube_objects import TASK_RUN, KubeObjects, kube_session
from kelery_bench.figures.costs import cpu_seconds, resident_bytes
from kelery_bench.local_stack import LocalStack, local_stack

LIVE, FINISHED = 1_000, 10_000
#: The operator reads finished runs once, soon after its start; their memory is part of the steady state.
_SWEEP_SECONDS = 3
_STEADY_SECONDS = 8.0
_CONNECTIONS = 16
_MIB = 2**20

_LIVE_SPEC = {"task": "bench.echo", "args": [1], "queue": "nobody"}
_DONE_SPEC = {"task": "bench.echo", "args": [1]}


@contextlib.contextmanager
def start_case(*, rounds: int, live: int = LIVE, finished: int = FINISHED) -> Iterator[Case]:
    """The case while its cluster is running."""
    with local_stack(operator=False, gateway=False, worker=False) as stack:
        few, many = (stack.create_namespace(prefix) for prefix in ("few", "many"))
        asyncio.run(_fill(stack, few, live=live, finished=0))
        asyncio.run(_fill(stack, many, live=live, finished=finished))
        yield Case(
            name="operator-start",
            title=f"operator: start and memory with {live:,} live and {finished:,} finished runs",
            reference=f"the same with {live:,} live and no finished runs",
            unit="s or MiB",
            ours=lambda: _start(stack, many),
            theirs=lambda: _start(stack, few),
            rounds=rounds,
        )


async def _fill(stack: LocalStack, namespace: str, *, live: int, finished: int) -> None:
    async with kube_session(stack.access) as session:
        objects = KubeObjects(session, path=TASK_RUN.path(namespace))
        names = [f"done-{number}" for number in range(finished)]
        await objects.create_all(
            [TASK_RUN.body(name, _DONE_SPEC) for name in names], connections=_CONNECTIONS
        )
        left = iter(names)

        async def finish() -> None:
            for name in left:
                await objects.put_status(name, _final_status())

        await asyncio.gather(*(finish() for _ in range(_CONNECTIONS)))
        waiting = [TASK_RUN.body(f"live-{number}", _LIVE_SPEC) for number in range(live)]
        await objects.create_all(waiting, connections=_CONNECTIONS)


def _final_status() -> dict[str, object]:
    """A status like the operator's for a succeeded run."""
    now = datetime.now(UTC)
    moment, exact = now.strftime("%Y-%m-%dT%H:%M:%SZ"), now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    conditions = [
        {"type": kind, "status": "True", "reason": "Completed", "message": "", "lastTransitionTime": moment}
        for kind in ("Admitted", "Started", "Finished", "Succeeded")
    ]
    return {
        "phase": "Succeeded",
        "reason": "Completed",
        "attempt": 1,
        "worker": "worker-1@bench",
        "startTime": moment,
        "completionTime": moment,
        "timing": dict.fromkeys(("queued", "admitted", "started", "finished"), exact),
        "result": {"value": 1, "truncated": False},
        "conditions": conditions,
    }


def _start(stack: LocalStack, namespace: str) -> Figures:
    """The seconds until the operator is ready, and its memory then and later."""
    began = time.perf_counter()
    operator = stack.start_operator(
        env={
            "KELERY_NAMESPACES": namespace,
            "KELERY_PREFIX": f"kelery-{namespace}",
            "KELERY_OPERATOR_SWEEP_SECONDS": str(_SWEEP_SECONDS),
        }
    )
    try:
        ready_seconds = time.perf_counter() - began
        ready_cpu, ready = cpu_seconds(operator.pid), resident_bytes(operator.pid)
        time.sleep(_STEADY_SECONDS)
        steady = resident_bytes(operator.pid)
    finally:
        operator.stop()
    return {
        "ready_seconds": ready_seconds,
        "ready_cpu_seconds": ready_cpu,
        "ready_mib": ready / _MIB,
        "steady_mib": steady / _MIB,
    }
