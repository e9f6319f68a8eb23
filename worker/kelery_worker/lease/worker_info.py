"""What a worker says of itself in the ledger with each renewal, for who asks which workers there are.

Read by the keeper's thread from Celery's objects, which the main thread changes meanwhile. Invariant: nothing
that goes wrong here disturbs the renewal that it travels with.
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
    """One worker's; `worker` is Celery's WorkController."""

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
        """As things stand; if they cannot be read, as they last stood."""
        try:
            now = {"queues": self._queues(), "slots": self._worker.pool.num_processes}
            self._last = json.dumps({**self._lasting, **now})
        except Exception as error:
            # Celery may be taking its pool or its consumer apart this moment.
            logger.debug("cannot say what this worker is doing: %s", error)
        return self._last

    def _queues(self) -> list[str]:
        """Those that it takes messages from; before its consumer is up, those that it is going to."""
        consumer = getattr(getattr(self._worker, "consumer", None), "task_consumer", None)
        if consumer is not None:
            self._has_consumed = True
            return sorted(queue.name for queue in consumer.queues if consumer.consuming_from(queue.name))
        return [] if self._has_consumed else sorted(self._worker.app.amqp.queues.consume_from)
