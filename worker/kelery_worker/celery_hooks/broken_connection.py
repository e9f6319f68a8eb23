"""When the connection to the broker breaks, Celery's pool forgets the jobs that no child has said it took.

It expects the broker to deliver them again. A run is claimed by then, so its message starts nothing when it
comes again, and a child may have its job already: then the pool must go on knowing it, or nobody hears how it
ends. One that has not been sent to a child yet is handed back, and the ledger sends its message again.
"""

from __future__ import annotations

import functools
from typing import Any

from kelery_worker.lease import keeper_access


def install(consumer_class: Any) -> None:
    """Around what Celery does when the connection closes."""
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
                # So the pool keeps it; the child's own word for it comes later, and changes nothing.
                run.job._accepted = True
                kept.append(run)
        try:
            return original(self)
        finally:
            for run in kept:
                run.job._accepted = run.pid is not None

    consumer_class.on_close = on_close
