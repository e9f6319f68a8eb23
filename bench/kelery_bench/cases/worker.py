"""The worker: the plug-in's cost for plain Celery tasks, and the time until a cancelled run is dead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from kelery_bench.case import Case, Figures
from kelery_bench.clients.plain_celery import plain_celery
from kelery_bench.figures.percentiles import percentiles
from kelery_bench.loads.cancelling import Cancelling
from kelery_bench.loads.plain_tasks import PlainTasks
from kelery_bench.local_stack import LocalStack, local_stack
from kelery_bench.size import Size

_WITH, _WITHOUT, _CANCEL = "bench-with", "bench-without", "bench-cancel"
#: Celery's pool replaces killed children every five seconds; this number covers the missing ones.
_CHILDREN = 10


@contextmanager
def cases(stack: LocalStack, *, size: Size) -> Iterator[list[Case]]:
    """The cases; cancels use the stack's gateway, plain tasks their own Redis."""
    with _overhead(stack, size=size) as overhead, _cancel(stack, size=size) as cancel:
        yield [overhead, cancel]


@contextmanager
def _overhead(stack: LocalStack, *, size: Size) -> Iterator[Case]:
    count = size.pick(quick=400, full=1000)
    with local_stack(plane=stack.plane, operator=False, gateway=False, worker=False) as own:
        with_plugin = own.start_worker("-Q", _WITH)
        without = own.start_worker("-Q", _WITHOUT, plugin=False)
        with plain_celery(own.valkey.url) as plain:

            def ours() -> Figures:
                return PlainTasks(plain, queue=_WITH, worker=with_plugin.pid).run(count)

            def theirs() -> Figures:
                return PlainTasks(plain, queue=_WITHOUT, worker=without.pid).run(count)

            yield Case(
                name="worker-overhead",
                title="plain Celery tasks on a worker with the plug-in",
                reference="the same worker without the plug-in",
                unit="ms/task",
                ours=ours,
                theirs=theirs,
                rounds=size.pick(quick=3, full=25),
            )


@contextmanager
def _cancel(stack: LocalStack, *, size: Size) -> Iterator[Case]:
    count = size.pick(quick=3, full=10)
    stack.start_worker("-Q", _CANCEL, concurrency=_CHILDREN)
    with (
        plain_celery(stack.valkey.url) as plain,
        closing(
            Cancelling(url=stack.gateway_url, plain=plain, queue=_CANCEL, folder=stack.folder)
        ) as stopping,
    ):
        yield Case(
            name="cancel",
            title="cancel of a running run until its process is gone",
            reference="plain Celery: control.revoke(terminate=True), idle worker",
            unit="ms",
            ours=lambda: percentiles([stopping.run() for _ in range(count)]),
            theirs=lambda: percentiles([stopping.task() for _ in range(count)]),
            rounds=size.pick(quick=3, full=7),
        )
