"""Stages the outcome of a run in the ledger, from the pool child that executed it.

The main process settles the run once the child has returned it or is dead. So a result survives the death of
either process, and a slot is never freed while the task may still execute.
"""

from __future__ import annotations

import logging
import random
import time
from typing import Any

from celery import states
from kombu.utils import json as celery_json

from kelery.errors import LedgerUnavailable
from kelery.ledger import commands
from kelery.ledger.types import Outcome
from kelery.run import run_message
from kelery_worker.child import retry_capture
from kelery_worker.child.current_run import CurrentRun
from kelery_worker.runs import outcomes

logger = logging.getLogger("kelery.worker")

#: How long staging is retried while Redis does not answer.
STAGE_SECONDS = 30.0


def stage_end(run: CurrentRun, *, state: str | None, retval: Any) -> None:
    """Stage the outcome; `state` and `retval` come from Celery."""
    outcome = _outcome(run, state, retval)
    if outcome is not None:
        _stage(run, outcome)


def _outcome(run: CurrentRun, state: str | None, retval: Any) -> Outcome | None:
    """None if the task did not end by itself (SystemExit, a killed thread)."""
    try:
        return _outcome_of_body(run, state, retval)
    except Exception as error:
        # Celery would only log the error, and the run would look lost.
        return outcomes.of_error(error)


def _outcome_of_body(run: CurrentRun, state: str | None, retval: Any) -> Outcome | None:
    captured = retry_capture.take()
    if state == states.SUCCESS:
        return outcomes.of_return(retval)
    if state == states.RETRY and captured is not None:
        message = run_message.make(
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
            run_message=message,
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
                logger.error("run %s: cannot store the outcome: %s", run.uid, error)
                return
            time.sleep(random.uniform(0.2, 1.0))
