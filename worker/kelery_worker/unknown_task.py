"""A run of a task that this worker's app does not know ends as Failed/TaskNotRegistered.

Celery's own handling logs the message with its body; a run's args stay out of the log.
"""

from __future__ import annotations

import logging
from typing import Any

from celery.exceptions import NotRegistered
from celery.utils.objects import Bunch

from kelery import doorbell
from kelery.phases import Reason
from kelery_worker import keeper_access

logger = logging.getLogger("kelery.worker")


def install(consumer_class: Any) -> None:
    """Go before Celery's own handling."""
    original = consumer_class.on_unknown_task

    def on_unknown_task(self: Any, body: Any, message: Any, exc: BaseException) -> Any:
        keeper = keeper_access.get()
        if doorbell.HEADER not in (message.headers or {}) or keeper is None:
            return original(self, body, message, exc)
        return _refuse(self, message, keeper)

    consumer_class.on_unknown_task = on_unknown_task


def _refuse(consumer: Any, message: Any, keeper: Any) -> None:
    uid, name = message.headers["id"], message.headers["task"]
    logger.error("run %s: no task is registered as %r in this worker", uid, name)
    message.ack_log_error(logger, consumer.connection_errors)
    tag = doorbell.read_tag(str(message.delivery_tag))
    if tag is not None and tag.uid == uid:
        keeper.refuse(
            tag,
            Reason.TASK_NOT_REGISTERED,
            f"no task is registered as {name!r} in worker {consumer.hostname}: "
            "check spec.task and spec.queue, and that the worker imports the task's module",
        )
    request = Bunch(name=name, chord=None, root_id=uid, correlation_id=uid, reply_to=None, errbacks=None)
    consumer.app.backend.mark_as_failure(uid, NotRegistered(name), request=request)
