"""Sends signals to a pool child through Celery's pool."""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import Any

from billiard.common import TERM_SIGNAL
from celery.concurrency.prefork import TaskPool


def can_kill(pool: Any) -> bool:
    """Whether tasks of this pool can be stopped reliably: only processes can."""
    return isinstance(pool, TaskPool)


def send_signal(pool: Any, pid: int, *, pidfd: int | None, kill: bool) -> None:
    """Terminate or kill the child `pid`; the pool replaces it without reporting an accident.

    The terminating signal is Celery's: SIGTERM, or SIGQUIT with REMAP_SIGTERM. Children ignore the other one.
    """
    pool.terminate_job(pid, signal.SIGKILL if kill else TERM_SIGNAL)
    if kill and pidfd is not None:
        # The pool may miss the child while it changes its list of children.
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
