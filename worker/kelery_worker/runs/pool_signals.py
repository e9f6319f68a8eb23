"""Signals to a pool child, in the way that keeps Celery's pool informed."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import Any

from billiard.common import TERM_SIGNAL
from celery.concurrency.prefork import TaskPool


def can_kill(pool: Any) -> bool:
    """Whether one task of this pool can be stopped for certain: only processes can."""
    return isinstance(pool, TaskPool)


def send_signal(pool: Any, pid: int, *, pidfd: int | None, kill: bool) -> None:
    """Ask the child `pid` to end, or kill it; the pool then replaces it without calling it an accident.

    The signal that asks is Celery's own (SIGQUIT where REMAP_SIGTERM says so): its children ignore the other.
    """
    pool.terminate_job(pid, signal.SIGKILL if kill else TERM_SIGNAL)
    if kill and pidfd is not None:
        # The pool may be changing its list of children at this moment, and miss it.
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
