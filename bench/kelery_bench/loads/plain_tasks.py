"""Many plain tasks through one worker: the time and the processor time of each."""

from __future__ import annotations

from collections.abc import Mapping

from kelery_bench.clients.plain_celery import PlainCelery
from kelery_bench.figures.process_time import processor_seconds


class PlainTasks:
    """A worker and its queue."""

    def __init__(self, plain: PlainCelery, *, queue: str, worker: int) -> None:
        self._plain = plain
        self._queue = queue
        self._worker = worker

    def run(self, count: int) -> Mapping[str, float]:
        """Milliseconds per task: `time`, from when all are in the queue until all results exist; `cpu`, the
        processor time of the worker's processes.
        """
        ids = self._plain.stage("bench.noop", args=[()] * count)
        busy = processor_seconds(self._worker)
        began = self._plain.release(self._queue)
        took = self._plain.wait_for_results(ids) - began
        busy = processor_seconds(self._worker) - busy
        self._plain.forget(ids)
        return {"time": took / count * 1000, "cpu": busy / count * 1000}
