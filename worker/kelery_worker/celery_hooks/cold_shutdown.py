"""A cold shutdown (SIGQUIT) stops Kelery's runs through the keeper.

Celery itself waits for a task whose message is acknowledged late and already was, which is what a run looks
like to it; and for one that it does stop it writes RETRY, although nobody will.
"""

from __future__ import annotations

from typing import Any

from kelery_worker.lease import keeper_access


def install(consumer_class: Any) -> None:
    """Go before Celery's own cancelling; `RunRequest.cancel` keeps that away from runs."""
    original = consumer_class.cancel_active_requests

    def cancel_active_requests(self: Any) -> Any:
        keeper = keeper_access.get()
        if keeper is not None:
            keeper.stop_running()
        return original(self)

    consumer_class.cancel_active_requests = cancel_active_requests
