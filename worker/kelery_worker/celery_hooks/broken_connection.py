"""Keeps runs in Celery's pool when the connection to the broker breaks.

Celery's pool forgets the jobs that no child has confirmed, and expects the broker to redeliver them. A run is
claimed by then, so a redelivered message starts nothing. If a child may have the job, the pool must keep it,
else nobody reports its end. If no child has it, the run is handed back, and the ledger redelivers its
message.
"""

from __future__ import annotations

import functools
from typing import Any

from kelery_worker.lease import keeper_access


def install(consumer_class: Any) -> None:
    """Wrap Celery's handling of a closed connection."""
    original = consumer_class.on_close

    @functools.wraps(original)
    def on_close(self: Any) -> Any:
        keeper = keeper_access.get()
        if keeper is None:
            return original(self)
        kept = []
        for run in keeper.untaken():
            if run.job._write_to is None:
                keeper.not_dispatched(run)
            else:
                # So the pool keeps it; the child's own confirmation comes later and changes nothing.
                run.job._accepted = True
                kept.append(run)
        try:
            return original(self)
        finally:
            for run in kept:
                run.job._accepted = run.pid is not None

    consumer_class.on_close = on_close
