"""The plug-in inside a pool child: around a task body, and what task code may call.

The child stages how the body ended; the main process settles it once the child has given the run back, or is
dead. So a result survives the death of either, and a slot is never freed while the body may still execute.
"""

from __future__ import annotations

import json
import logging
import os
import random
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from celery import current_app, signals, states
from kombu.utils import json as celery_json

from kelery.errors import LedgerError, LedgerUnavailable
from kelery.ledger import commands, sync_client
from kelery.ledger.types import Outcome
from kelery.run import run_message
from kelery_worker import settings
from kelery_worker.celery_hooks.start_gate import CLAIM_FIELD
from kelery_worker.child import inherited_sockets, retry_capture
from kelery_worker.runs import outcomes, processes

logger = logging.getLogger("kelery.worker")

#: A progress that comes sooner after the last one waits for the next, or for the end.
PROGRESS_SECONDS = 0.5
#: How long a body that is about to start waits for a Redis that does not answer.
START_SECONDS = 8.0
#: How long a finished body's outcome is offered to a Redis that does not answer.
STAGE_SECONDS = 30.0
_TIMEOUT_SECONDS = 5.0


@dataclass(slots=True, kw_only=True)
class CurrentRun:
    """The run whose body executes in this child."""

    uid: str
    fence: int
    task: str
    queue: str
    ledger: sync_client.Ledger
    error: BaseException | None = None
    traceback: str = ""
    progress_at: float = 0.0
    pending_progress: str | None = None


_current: CurrentRun | None = None
_ledger: sync_client.Ledger | None = None
_ledger_pid = 0


def fence() -> int | None:
    """The fence of the run that is executing: a number that only grows, to be checked by whatever the task
    writes to.

    None outside a run.
    """
    return _current.fence if _current is not None else None


def progress(current: float, total: float | None = None, message: str | None = None) -> None:
    """Tell how far the run is: shown in `.status.progress`. Does nothing outside a run; never raises for
    Redis' sake.
    """
    run = _current
    if run is None:
        return
    shown = {"current": current, "total": total, "message": message}
    text = json.dumps({name: value for name, value in shown.items() if value is not None}, allow_nan=False)
    now = time.monotonic()
    if now - run.progress_at < PROGRESS_SECONDS:
        run.pending_progress = text
        return
    run.progress_at, run.pending_progress = now, None
    _send_progress(run, text)


def current_uid() -> str | None:
    """The run that is executing in this child."""
    return _current.uid if _current is not None else None


def install(task_class: Any) -> None:
    """Connect to Celery's signals, and show progress that is told in Celery's own way."""
    signals.worker_process_init.connect(_settle_in, weak=False)
    signals.task_prerun.connect(_before, weak=False)
    signals.task_failure.connect(_failed, weak=False)
    signals.task_postrun.connect(_after, weak=False)
    original = task_class.update_state

    def update_state(self: Any, *args: Any, **kwargs: Any) -> Any:
        answer = original(self, *args, **kwargs)
        meta = kwargs.get("meta", args[2] if len(args) > 2 else None)
        if isinstance(meta, dict) and isinstance(meta.get("current"), (int, float)):
            total, message = meta.get("total"), meta.get("message")
            # The task did not ask for our view of it: what cannot be shown is not shown.
            with suppress(ValueError):
                progress(
                    meta["current"],
                    total if isinstance(total, (int, float)) else None,
                    message if isinstance(message, str) else None,
                )
        return answer

    task_class.update_state = update_state


def _settle_in(**_: Any) -> None:
    # What a task forks without exec carries no marker; its process group tells whose it is.
    with suppress(OSError):
        os.setpgid(0, 0)
    inherited_sockets.let_go(settings.of_app(current_app).redis_url)


def _before(task_id: str, task: Any, **_: Any) -> None:
    global _current
    request = vars(task.request)
    claim = request.get(CLAIM_FIELD)
    if claim is None:
        # A plain task, maybe one that the body of a run applies in place.
        if request.get(run_message.HEADER) == task_id:
            _refuse_unclaimed(task_id, task)
        return
    _current = None
    try:
        ledger = _connected(task.app)
        may_start = _may_start(ledger, claim)
    except LedgerUnavailable:
        logger.warning("run %s: cannot ask whether it may start: Redis is away", claim["uid"])
        may_start = False
    except Exception:
        logger.exception("run %s: cannot ask whether it may start", claim["uid"])
        may_start = False
    if not may_start:
        # An exception would not keep the body from executing: those of signal handlers are logged and
        # dropped. An exit does, and the pool replaces this child.
        raise SystemExit(0)
    retry_capture.take()
    _current = CurrentRun(
        uid=claim["uid"],
        fence=claim["fence"],
        task=task.name,
        queue=(task.request.delivery_info or {}).get("routing_key") or "celery",
        ledger=ledger,
    )
    os.environ[processes.MARKER] = f"{claim['worker_nonce']}:{claim['uid']}:{claim['fence']}"


def _refuse_unclaimed(task_id: str, task: Any) -> None:
    """A run that came past the gate (its task's Request class cannot be wrapped) must not execute."""
    if not task.request.is_eager:
        logger.error(
            "run %s: came here without a claim; task %s has a Request of its own", task_id, task.name
        )
        raise SystemExit(0)


def _may_start(ledger: sync_client.Ledger, claim: dict[str, Any]) -> bool:
    """Whether this claim may begin here and now: Celery's pool sends a job again when a child dies before it
    said that it took it.
    """
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            allowed = ledger.run(commands.start(claim["uid"], claim["fence"], pid=os.getpid()))
        except LedgerUnavailable:
            if time.monotonic() > until:
                raise
            time.sleep(random.uniform(0.05, 0.2))
            continue
        if not allowed:
            logger.warning("run %s: this claim has begun before, or was taken away", claim["uid"])
        return allowed


def _failed(task_id: str = "", exception: BaseException | None = None, einfo: Any = None, **_: Any) -> None:
    if _current is not None and _current.uid == task_id:
        _current.error = exception
        _current.traceback = str(getattr(einfo, "traceback", "") or "")


def _after(task_id: str = "", state: str | None = None, retval: Any = None, **_: Any) -> None:
    global _current
    if _current is None or _current.uid != task_id:
        return
    run, _current = _current, None
    try:
        if run.pending_progress is not None:
            _send_progress(run, run.pending_progress)
        outcome = _outcome(run, state, retval)
        if outcome is not None:
            _stage(run, outcome)
    finally:
        os.environ.pop(processes.MARKER, None)


def _outcome(run: CurrentRun, state: str | None, retval: Any) -> Outcome | None:
    """None: the body did not end by itself (SystemExit, a killed thread), so there is nothing to say."""
    try:
        return _outcome_of_body(run, state, retval)
    except Exception as error:
        # Celery would only log it, and the run would look lost.
        return outcomes.of_error(error)


def _outcome_of_body(run: CurrentRun, state: str | None, retval: Any) -> Outcome | None:
    captured = retry_capture.take()
    if state == states.SUCCESS:
        return outcomes.of_return(retval)
    if state == states.RETRY and captured is not None:
        bell = run_message.make(
            uid=run.uid,
            task=run.task,
            args=captured.args,
            kwargs=captured.kwargs,
            queue=run.queue,
            retries=captured.retries,
            dumps=celery_json.dumps,
        )
        cause = getattr(retval, "exc", None)
        return Outcome(
            kind="retry",
            error_type=type(cause).__name__ if isinstance(cause, BaseException) else "Retry",
            run_message=bell,
            delay_seconds=captured.delay_seconds,
        )
    if run.error is not None:
        return outcomes.of_error(run.error, run.traceback)
    return outcomes.of_error(retval) if isinstance(retval, BaseException) else None


def _stage(run: CurrentRun, outcome: Outcome) -> None:
    until = time.monotonic() + STAGE_SECONDS
    while True:
        try:
            run.ledger.run(commands.stage(run.uid, run.fence, outcome))
            return
        except LedgerUnavailable as error:
            if time.monotonic() > until:
                logger.error("run %s: its outcome could not be stored: %s", run.uid, error)
                return
            time.sleep(random.uniform(0.2, 1.0))


def _send_progress(run: CurrentRun, text: str) -> None:
    with suppress(LedgerError):
        run.ledger.run(commands.progress(run.uid, run.fence, text))


def _connected(app: Any) -> sync_client.Ledger:
    """This child's own connection; one made before the fork belongs to the main process."""
    global _ledger, _ledger_pid
    if _ledger is None or _ledger_pid != os.getpid():
        chosen = settings.of_app(app)
        client = sync_client.connect(
            chosen.redis_url, timeout_seconds=_TIMEOUT_SECONDS, client_name="kelery-task"
        )
        _ledger, _ledger_pid = sync_client.Ledger(client, prefix=chosen.prefix), os.getpid()
    return _ledger
