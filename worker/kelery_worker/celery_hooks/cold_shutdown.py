"""Lets the keeper stop runs at a cold shutdown (SIGQUIT).

Celery itself waits for a late-acknowledged task whose message is already acknowledged, and a run looks like
one. For a task that it stops, it writes RETRY, although nobody retries the run.
"""

from __future__ import annotations

from typing import Any

from kelery_worker.lease import keeper_access


def install(consumer_class: Any) -> None:
    """Run before Celery's own cancel, which `RunRequest.cancel` keeps away from runs."""
    original = consumer_class.cancel_active_requests

    def cancel_active_requests(self: Any) -> Any:
        keeper = keeper_access.get()
        if keeper is not None:
            keeper.stop_running()
        return original(self)

    consumer_class.cancel_active_requests = cancel_active_requests
