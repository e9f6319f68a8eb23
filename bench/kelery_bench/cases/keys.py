"""Keys: how soon the next run of a key starts, against plain tasks, and with many waiters against few."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kelery_bench.case import Case, Figures
from kelery_bench.clients.plain_celery import plain_celery
from kelery_bench.figures.percentiles import percentiles
from kelery_bench.loads.key_chain import KeyChain, gaps
from kelery_bench.loads.ledger_runs import ledger_runs
from kelery_bench.local_stack import LocalStack, local_stack
from kelery_bench.size import Size

#: One child consumes this queue, so plain tasks also execute one after the other.
_QUEUE = "bench-keys"
_WAITERS = 1000
_FEW = 10


@contextmanager
def cases(stack: LocalStack, *, size: Size) -> Iterator[list[Case]]:
    """The cases, on their own Redis and worker, so that the waiting runs disturb no other case."""
    length = size.pick(quick=30, full=150)
    many = size.pick(quick=2000, full=10_000)
    rounds = size.pick(quick=3, full=7)
    with local_stack(plane=stack.plane, operator=False, gateway=False, worker=False) as own:
        own.start_worker("-Q", _QUEUE, concurrency=1)
        file = own.folder / "stamps"
        with plain_celery(own.valkey.url) as plain, ledger_runs(own.valkey.url) as runs:
            with_waiters = {
                waiters: KeyChain(runs, key=f"with-{waiters}", waiters=waiters, queue=_QUEUE)
                for waiters in (_FEW, _WAITERS, many)
            }

            def hand_over(waiters: int) -> Figures:
                return percentiles(with_waiters[waiters].run(file, length=length))

            def task_to_task() -> Figures:
                ids = plain.stage("bench.stamp", args=[(str(file), str(number)) for number in range(length)])
                plain.release(_QUEUE)
                plain.wait_for_results(ids)
                return percentiles(gaps(file, length=length))

            yield [
                Case(
                    name="hand-over",
                    title="key: from the end of a run until the next one's code starts,"
                    f" {_WAITERS:,} waiting",
                    reference="plain Celery: from the end of a task until the next one's code starts,"
                    " same worker",
                    unit="ms",
                    ours=lambda: hand_over(_WAITERS),
                    theirs=task_to_task,
                    rounds=rounds,
                ),
                Case(
                    name="hand-over-flat",
                    title=f"key: the same, {many:,} waiting",
                    reference=f"the same, {_FEW} waiting",
                    unit="ms",
                    ours=lambda: hand_over(many),
                    theirs=lambda: hand_over(_FEW),
                    rounds=rounds,
                ),
            ]
