"""Messages of runs before the start gate: restores the real task name, and ends runs that cannot start.

The message of a run names a placeholder task, so that a worker without the plug-in rejects it. An unknown
task ends the run as TaskNotRegistered, an unreadable message as MessageRefused. Celery's own handling would
log the message with its body; the arguments of a run must not be logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.exceptions import NotRegistered
from celery.utils.objects import Bunch

from kelery.run import run_message
from kelery.run.phases import Reason
from kelery_worker.lease import keeper_access

logger = logging.getLogger("kelery.worker")


def install(consumer_class: Any) -> None:
    """Run before Celery's own handling."""
    _restore_names(consumer_class)
    unknown, invalid, undecodable = (
        consumer_class.on_unknown_task,
        consumer_class.on_invalid_task,
        consumer_class.on_decode_error,
    )

    def on_unknown_task(self: Any, body: Any, message: Any, exc: BaseException) -> Any:
        if not _is_run(message):
            return unknown(self, body, message, exc)
        name = message.headers["task"]
        _refuse(
            self,
            message,
            Reason.TASK_NOT_REGISTERED,
            f"worker {self.hostname} has no task {name!r}: "
            "check spec.task and spec.queue, and that the worker imports the task's module",
        )
        request = Bunch(
            name=name,
            chord=None,
            root_id=message.headers["id"],
            correlation_id=message.headers["id"],
            reply_to=None,
            errbacks=None,
        )
        self.app.backend.mark_as_failure(message.headers["id"], NotRegistered(name), request=request)
        return None

    def on_invalid_task(self: Any, body: Any, message: Any, exc: BaseException) -> Any:
        return _unreadable(self, message, exc) if _is_run(message) else invalid(self, body, message, exc)

    def on_decode_error(self: Any, message: Any, exc: BaseException) -> Any:
        return _unreadable(self, message, exc) if _is_run(message) else undecodable(self, message, exc)

    consumer_class.on_unknown_task = on_unknown_task
    consumer_class.on_invalid_task = on_invalid_task
    consumer_class.on_decode_error = on_decode_error


def _restore_names(consumer_class: Any) -> None:
    original = consumer_class.create_task_handler

    def create_task_handler(self: Any, *args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        handle: Callable[[Any], Any] = original(self, *args, **kwargs)

        def on_task_received(message: Any) -> Any:
            if _is_run(message):
                message.headers["task"] = message.headers.get(run_message.TASK_HEADER)
            return handle(message)

        return on_task_received

    consumer_class.create_task_handler = create_task_handler


def _is_run(message: Any) -> bool:
    headers = message.headers or {}
    is_run = headers.get(run_message.HEADER) is not None and headers.get(run_message.HEADER) == headers.get(
        "id"
    )
    return is_run and keeper_access.get() is not None


def _unreadable(consumer: Any, message: Any, error: BaseException) -> None:
    _refuse(
        consumer,
        message,
        Reason.MESSAGE_REFUSED,
        f"worker {consumer.hostname} cannot read the run's message ({type(error).__name__}): "
        "add 'json' to accept_content of its Celery app",
    )


def _refuse(consumer: Any, message: Any, reason: Reason, why: str) -> None:
    uid = message.headers["id"]
    logger.error("run %s: %s", uid, why)
    message.ack_log_error(logger, consumer.connection_errors)
    tag = run_message.read_tag(str(message.delivery_tag))
    keeper = keeper_access.get()
    if keeper is not None and tag is not None and tag.uid == uid:
        keeper.refuse(tag, reason, why)
