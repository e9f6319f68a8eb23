"""What a worker reports about itself with each renewal, for the list of workers.

The keeper's thread reads Celery's objects while the main thread changes them. Invariant: an error here never
disturbs the renewal.
"""

from __future__ import annotations

import json
import os
import platform
import time
from typing import Any

import celery

from kelery import __version__, timestamps
from kelery_worker.relayed_log import logger


class WorkerInfo:
    """The report of one worker; `worker` is Celery's WorkController."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._has_consumed = False
        self._lasting = {
            "name": worker.hostname,
            "host": platform.node(),
            "pid": os.getpid(),
            "started": timestamps.whole(time.time_ns() // 1000),
            "kelery": __version__,
            "celery": celery.__version__,
        }
        self._last = json.dumps({**self._lasting, "queues": [], "slots": 0})

    def info_json(self) -> str:
        """The current report as JSON; the last one if the current state cannot be read."""
        try:
            now = {"queues": self._queues(), "slots": self._worker.pool.num_processes}
            self._last = json.dumps({**self._lasting, **now})
        except Exception as error:
            # Celery may be shutting down its pool or its consumer.
            logger.debug("cannot read the worker's queues and slots: %s", error)
        return self._last

    def _queues(self) -> list[str]:
        """The consumed queues; before the consumer is up, those that it will consume."""
        consumer = getattr(getattr(self._worker, "consumer", None), "task_consumer", None)
        if consumer is not None:
            self._has_consumed = True
            return sorted(queue.name for queue in consumer.queues if consumer.consuming_from(queue.name))
        return [] if self._has_consumed else sorted(self._worker.app.amqp.queues.consume_from)
