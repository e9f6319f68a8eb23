"""Hooks the plug-in into Celery. Importing it in a process that is no worker changes nothing there.

Where each hook has to be, and which look right but are silently ignored, was measured on Celery 5.7;
docs/reference/worker.md keeps the list.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import signals
from celery.app.task import Task
from celery.utils.imports import symbol_by_name
from celery.worker.consumer import Consumer
from celery.worker.request import Request

from kelery_worker.celery_hooks import broken_connection, broker_sockets, cold_shutdown, refused_messages
from kelery_worker.celery_hooks.start_gate import RunRequest
from kelery_worker.child import log_filter, retry_capture, task_signals

logger = logging.getLogger("kelery.worker")

_installed = False


def install() -> None:
    """Connect everything, once a process."""
    global _installed
    if _installed:
        return
    _installed = True
    task_class: Any = Task
    task_class.Request = RunRequest
    retry_capture.install(task_class)
    task_signals.install(task_class)
    for module in (refused_messages, broken_connection, cold_shutdown):
        module.install(Consumer)
    log_filter.install()
    # The last public moment before the worker's steps are put together, and after -I was imported.
    signals.worker_init.connect(_prepare_worker, weak=False)


def _prepare_worker(sender: Any, **_: Any) -> None:
    worker = sender
    if not _is_asked_for(worker):
        # Task code imports this package for `progress`; that alone makes no worker Kelery's.
        return
    from kelery_worker.celery_hooks import liveness_steps
    from kelery_worker.celery_hooks.keeper_step import KeeperStep

    broker_sockets.limit(worker.app.conf)
    worker.app.steps["worker"].add(KeeperStep)
    liveness_steps.install(worker)
    # A message in a worker's own buffer waits behind what runs there, although another worker may be idle.
    worker.app.conf.worker_disable_prefetch = True
    worker.prefetch_multiplier = 1
    # Any other sends a child its next job before it has given back the one before: a kill might hit the wrong
    # one.
    worker.optimization = "fair"
    for task in worker.app.tasks.values():
        _wrap_custom_request(task)


def _is_asked_for(worker: Any) -> bool:
    """By `-I kelery_worker`, or by the app's own `include`."""
    return "kelery_worker" in {*(worker.include or ()), *(worker.app.conf.include or ())}


def _wrap_custom_request(task: Any) -> None:
    """A task with a Request class of its own keeps it, with the start gate in front."""
    own = symbol_by_name(task.Request)
    if issubclass(own, RunRequest):
        return
    if not issubclass(own, Request):
        logger.warning(
            "task %s: its Request is no subclass of Celery's; it cannot run Kelery's runs", task.name
        )
        return
    task.Request = type(f"Run{own.__name__}", (RunRequest, own), {})
