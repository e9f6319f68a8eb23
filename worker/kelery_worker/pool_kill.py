"""Signals to a pool child, in the way that keeps Celery's pool informed."""

from __future__ import annotations

import signal
from typing import Any

from celery.concurrency.prefork import TaskPool


def can_kill(pool: Any) -> bool:
    """Whether one task of this pool can be stopped for certain: only processes can."""
    return isinstance(pool, TaskPool)


def send_signal(pool: Any, pid: int, *, kill: bool) -> None:
    """SIGTERM, or SIGKILL, to the child `pid`; the pool then replaces it without calling it an accident."""
    pool.terminate_job(pid, signal.SIGKILL if kill else signal.SIGTERM)
