"""Many plain tasks through one worker: how long each takes, and what processor time."""

from __future__ import annotations

from collections.abc import Mapping

from kelery_bench.clients.plain_celery import PlainCelery
from kelery_bench.figures.process_time import processor_seconds


class PlainTasks:
    """A worker and the queue that it alone takes from."""

    def __init__(self, plain: PlainCelery, *, queue: str, worker: int) -> None:
        self._plain = plain
        self._queue = queue
        self._worker = worker

    def run(self, count: int) -> Mapping[str, float]:
        """Milliseconds a task: `time`, from the moment when all are in the queue until all results are there;
        `cpu`, how long the worker's processes were busy.
        """
        ids = self._plain.stage("bench.noop", args=[()] * count)
        busy = processor_seconds(self._worker)
        began = self._plain.release(self._queue)
        took = self._plain.wait_for_results(ids) - began
        busy = processor_seconds(self._worker) - busy
        self._plain.forget(ids)
        return {"time": took / count * 1000, "cpu": busy / count * 1000}
