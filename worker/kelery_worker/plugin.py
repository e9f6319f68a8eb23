"""Connects the plug-in to Celery. An import in a process that is not a worker changes nothing.

Each hook was verified with Celery 5.7; docs/reference/worker.md lists them, and the places that look suitable
but have no effect.
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
    """Connect all hooks, once per process."""
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
    # The last public moment before the worker's steps are built; -I is imported by then.
    signals.worker_init.connect(_prepare_worker, weak=False)


def _prepare_worker(sender: Any, **_: Any) -> None:
    worker = sender
    if not _is_asked_for(worker):
        # Task code imports this package for `progress`; that alone does not arm the worker.
        return
    from kelery_worker.celery_hooks import liveness_steps
    from kelery_worker.celery_hooks.keeper_step import KeeperStep

    broker_sockets.limit(worker.app.conf)
    worker.app.steps["worker"].add(KeeperStep)
    liveness_steps.install(worker)
    # A prefetched message would wait behind running tasks, although another worker may be idle.
    worker.app.conf.worker_disable_prefetch = True
    worker.prefetch_multiplier = 1
    # Other modes send a child its next job before it has returned the last one: a kill could hit the wrong
    # one.
    worker.optimization = "fair"
    for task in worker.app.tasks.values():
        _wrap_custom_request(task)


def _is_asked_for(worker: Any) -> bool:
    """With `-I kelery_worker`, or with the app's own `include`."""
    return "kelery_worker" in {*(worker.include or ()), *(worker.app.conf.include or ())}


def _wrap_custom_request(task: Any) -> None:
    """A task with a Request class of its own keeps it, with the start gate in front."""
    own = symbol_by_name(task.Request)
    if issubclass(own, RunRequest):
        return
    if not issubclass(own, Request):
        logger.warning(
            "task %s cannot execute runs: its Request is not a subclass of celery.worker.request.Request",
            task.name,
        )
        return
    task.Request = type(f"Run{own.__name__}", (RunRequest, own), {})
