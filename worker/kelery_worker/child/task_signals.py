"""Celery's task signals in the pool child: asks the ledger before the task, stages the outcome after it.

Invariant: a run's task starts only if the ledger allows its claim to start, once for each claim.
"""

from __future__ import annotations

import logging
import os
import random
import time
from contextlib import suppress
from typing import Any

from celery import current_app, signals

from kelery.errors import LedgerUnavailable
from kelery.ledger import commands, sync_client
from kelery.run import run_message
from kelery_worker import settings
from kelery_worker.child import current_run, inherited_sockets, retry_capture, staging
from kelery_worker.child.current_run import CurrentRun
from kelery_worker.runs import processes, request_claim
from kelery_worker.runs.request_claim import RequestClaim

logger = logging.getLogger("kelery.worker")

#: How long a start waits while Redis does not answer.
START_SECONDS = 8.0
_TIMEOUT_SECONDS = 5.0

_ledger: sync_client.Ledger | None = None
_ledger_pid = 0


def install(task_class: Any) -> None:
    """Connect to Celery's signals, and forward progress from `update_state`."""
    signals.worker_process_init.connect(_settle_in, weak=False)
    signals.task_prerun.connect(_before, weak=False)
    signals.task_failure.connect(_failed, weak=False)
    signals.task_postrun.connect(_after, weak=False)
    original = task_class.update_state

    def update_state(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = original(self, *args, **kwargs)
        _show_progress(kwargs.get("meta", args[2] if len(args) > 2 else None))
        return answer

    task_class.update_state = update_state


def _show_progress(meta: Any) -> None:
    run = current_run.get()
    if run is None or not isinstance(meta, dict) or not isinstance(meta.get("current"), (int, float)):
        return
    total, message = meta.get("total"), meta.get("message")
    # `update_state` is Celery's API: progress that is not valid JSON is ignored.
    with suppress(ValueError):
        run.report_progress(
            meta["current"],
            total=total if isinstance(total, (int, float)) else None,
            message=message if isinstance(message, str) else None,
        )


def _settle_in(**_: Any) -> None:
    # A process that a task forks without exec has no marker; its process group identifies it.
    with suppress(OSError):
        os.setpgid(0, 0)
    inherited_sockets.let_go(settings.of_app(current_app).redis_url)


def _before(task_id: str, task: Any, **_: Any) -> None:
    request = vars(task.request)
    claim = request_claim.read(request)
    if claim is None:
        # A plain task, perhaps one that a run applies in its own process.
        if request.get(run_message.HEADER) == task_id:
            _refuse_unclaimed(task_id, task)
        return
    current_run.put(None)
    try:
        ledger = _connected(task.app)
        may_start = _may_start(ledger, claim)
    except LedgerUnavailable:
        logger.warning("run %s: not started: the ledger does not answer", claim.uid)
        may_start = False
    except Exception:
        logger.exception("run %s: not started: the ledger call failed", claim.uid)
        may_start = False
    if not may_start:
        # Celery logs and drops exceptions of signal handlers, and would execute the task. SystemExit prevents
        # that, and the pool replaces this child.
        raise SystemExit(0)
    retry_capture.take()
    current_run.put(
        CurrentRun(
            uid=claim.uid,
            fence=claim.fence,
            task=task.name,
            queue=(task.request.delivery_info or {}).get("routing_key") or "celery",
            ledger=ledger,
        )
    )
    os.environ[processes.MARKER] = processes.run_marker(
        worker_nonce=claim.worker_nonce, uid=claim.uid, fence=claim.fence
    )


def _refuse_unclaimed(task_id: str, task: Any) -> None:
    """A run that bypassed the gate (its task's Request class cannot be wrapped) must not execute."""
    if not task.request.is_eager:
        logger.error(
            "run %s: not started: no claim; the Request class of task %s must be a subclass of Celery's",
            task_id,
            task.name,
        )
        raise SystemExit(0)


def _may_start(ledger: sync_client.Ledger, claim: RequestClaim) -> bool:
    """Whether this claim may start here: Celery's pool resends a job if a child dies before confirming it."""
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            allowed = ledger.run(commands.start(claim.uid, claim.fence, pid=os.getpid()))
        except LedgerUnavailable:
            if time.monotonic() > until:
                raise
            time.sleep(random.uniform(0.05, 0.2))
            continue
        if not allowed:
            logger.warning("run %s: not started: its claim has already started or was revoked", claim.uid)
        return allowed


def _failed(task_id: str = "", exception: BaseException | None = None, einfo: Any = None, **_: Any) -> None:
    run = current_run.get()
    if run is not None and run.uid == task_id:
        run.error = exception
        run.traceback = str(getattr(einfo, "traceback", "") or "")


def _after(task_id: str = "", state: str | None = None, retval: Any = None, **_: Any) -> None:
    run = current_run.get()
    if run is None or run.uid != task_id:
        return
    current_run.put(None)
    try:
        run.send_pending_progress()
        staging.stage_end(run, state=state, retval=retval)
    finally:
        os.environ.pop(processes.MARKER, None)


def _connected(app: Any) -> sync_client.Ledger:
    """This child's own connection; a connection from before the fork belongs to the main process."""
    global _ledger, _ledger_pid
    if _ledger is None or _ledger_pid != os.getpid():
        chosen = settings.of_app(app)
        client = sync_client.connect(
            chosen.redis_url, timeout_seconds=_TIMEOUT_SECONDS, client_name="kelery-task"
        )
        _ledger, _ledger_pid = sync_client.Ledger(client, prefix=chosen.prefix), os.getpid()
    return _ledger
