"""A plain Celery client of the benchmark's tasks, the reference of most cases."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import redis
from celery import Celery

from kelery_dev.errors import DevError

_SECONDS = 60.0
_LOOK_SECONDS = 0.01
_STAGE = "bench-stage"


class PlainCelery:
    """Sends tasks to the workers of one broker."""

    def __init__(self, app: Celery, store: redis.Redis) -> None:
        self.app = app
        #: Broker and results; Any, because redis-py's types allow awaitable results.
        self._store: Any = store

    def round_trip(self, task: str, *, args: Sequence[Any] = (), queue: str = "celery") -> float:
        """The seconds from sending a task until its result."""
        began = time.perf_counter()
        self.app.send_task(task, args=list(args), queue=queue).get(timeout=_SECONDS)
        return time.perf_counter() - began

    def throughput(self, task: str, *, count: int, at_once: int) -> float:
        """Results per second, with `at_once` threads that each send a task and wait for its result."""
        each = count // at_once

        def some(_: int) -> None:
            for _ in range(each):
                self.round_trip(task)

        with ThreadPoolExecutor(at_once) as threads:
            # Threads and connections are created before the clock starts.
            list(threads.map(lambda _: self.round_trip(task), range(at_once)))
            began = time.perf_counter()
            list(threads.map(some, range(at_once)))
            return each * at_once / (time.perf_counter() - began)

    def stage(self, task: str, *, args: Sequence[Sequence[Any]]) -> list[str]:
        """Write a message for each of `args` to a queue without workers; returns the ids."""
        with self.app.producer_pool.acquire(block=True) as producer:
            sent = [
                self.app.send_task(task, args=list(words), queue=_STAGE, producer=producer) for words in args
            ]
        return [str(one.id) for one in sent]

    def release(self, queue: str) -> float:
        """Move all staged messages to an empty queue at once; returns the time (`time.perf_counter`)."""
        began = time.perf_counter()
        self._store.rename(_STAGE, queue)
        return began

    def wait_for_results(self, ids: Sequence[str]) -> float:
        """Wait until all results exist, without a subscription; returns the time (`time.perf_counter`)."""
        keys = [f"celery-task-meta-{one}" for one in ids]
        deadline = time.monotonic() + _SECONDS
        # A query for all results loads the server, so only the last one is polled first.
        while not self._store.exists(keys[-1]) or self._store.exists(*keys) < len(keys):
            if time.monotonic() > deadline:
                raise DevError(f"{len(keys)} tasks did not end within {_SECONDS:g} s")
            time.sleep(_LOOK_SECONDS)
        return time.perf_counter()

    def forget(self, ids: Sequence[str]) -> None:
        """Remove their results."""
        self._store.delete(*(f"celery-task-meta-{one}" for one in ids))


@contextmanager
def plain_celery(url: str) -> Iterator[PlainCelery]:
    """A client of the broker and result store at `url`."""
    with Celery("plain", broker=url, backend=url) as app, redis.Redis.from_url(url) as store:
        yield PlainCelery(app, store)
