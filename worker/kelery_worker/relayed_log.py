"""Log lines of threads that must never wait for a log.

A log that nobody reads (a full pipe, a stalled log driver) blocks every writer and holds the handler's lock.
Leases and kills must continue meanwhile. So watcher and keeper only queue their lines, and a separate thread
writes them.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue

logger = logging.getLogger("kelery.worker.threads")

_STOP_SECONDS = 1.0


class _Rewrite(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Write to the worker's own log."""
        logging.getLogger("kelery.worker").handle(record)


class Relay:
    """Between the queue and the worker's log."""

    def __init__(self) -> None:
        lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
        self._handler = logging.handlers.QueueHandler(lines)
        self._listener = logging.handlers.QueueListener(lines, _Rewrite())

    def start(self) -> None:
        """From now on, `logger` does not wait."""
        logger.propagate = False
        logger.addHandler(self._handler)
        self._listener.start()

    def stop(self) -> None:
        """Write the queued lines; wait one second at most."""
        thread = self._listener._thread
        self._listener.enqueue_sentinel()
        if thread is not None:
            thread.join(_STOP_SECONDS)
        logger.removeHandler(self._handler)
        logger.propagate = True
