"""The start gate: a Kelery message becomes a claim before its task body may start.

`revoked()` is the last thing that Celery asks in the main process before it hands a request to the pool. The
class that Celery derives from a task's Request shadows `execute_using_pool` and `on_success`, so those two
are wrapped when it is made.

Invariant: a Kelery request reaches the pool only with a good claim, and its message is acknowledged once a
child has taken it, whatever its task says of that: the ledger, not the broker, brings a run back. A message
that is delivered again because the worker died before that names a claimed attempt, and starts nothing.
Celery's own `revoke` has no say over a run; `cancel` has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from billiard.einfo import ExceptionWithTraceback  # type: ignore[attr-defined]
from billiard.exceptions import Terminated, TimeLimitExceeded, WorkerLostError
from celery.worker import request as celery_request
from celery.worker import state as worker_state

from kelery.run import run_message
from kelery_worker.lease import keeper_access
from kelery_worker.runs import request_claim
from kelery_worker.runs.live_run import LiveRun
from kelery_worker.runs.request_claim import RequestClaim

logger = logging.getLogger("kelery.worker")

#: What Celery reports itself, while the process is still ending or for one that is gone.
_DYING = (SystemExit, KeyboardInterrupt, WorkerLostError, Terminated, TimeLimitExceeded)
#: What a child reports of itself before it ends.
_LEAVING = (SystemExit, KeyboardInterrupt)

# The published types of Celery's Request lack what is overridden here, and say otherwise of a pid.
_Request: Any = celery_request.Request


class RunRequest(_Request):  # type: ignore[misc]
    """Celery's Request, with the gate; plain messages take Celery's own way through it."""

    #: Set by the watcher when it stops the run for its time.
    timed_out_after: float | None = None
    _run: LiveRun | None = None
    _kelery_passed: bool | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "execute_using_pool" in cls.__dict__:
            cls.execute_using_pool = _watching_dispatch(cls.__dict__["execute_using_pool"])
        if "on_success" in cls.__dict__:
            cls.on_success = _reporting_return(cls.__dict__["on_success"])

    @property
    def is_run(self) -> bool:
        """Whether this is a Kelery run and not a plain Celery task, even one that was sent with a run's
        headers.
        """
        return bool(self._request_dict.get(run_message.HEADER) == self.id)

    def revoked(self) -> bool:
        """Celery's question "may it start?"; True keeps it from starting."""
        if not self.is_run:
            return bool(super().revoked())
        if self._kelery_passed is None:
            try:
                self._kelery_passed = self._gate()
            except Exception:
                # Celery expects none here, and would lose a place of its pool. The ledger redelivers it.
                logger.exception("run %s: cannot be claimed", self.id)
                self._drop()
        return not self._kelery_passed

    def _gate(self) -> bool:
        keeper = keeper_access.get()
        if keeper is None or keeper.is_draining:
            # Not acknowledged: the broker gives the message back when this worker's connection closes.
            worker_state.task_ready(self)
            return False
        self._run = keeper.claim(self, tag=run_message.read_tag(str(self._message.delivery_tag)))
        if self._run is None:
            self._drop()
            return False
        claim = self._run.claim
        carried = RequestClaim(uid=claim.uid, fence=claim.fence, worker_nonce=keeper.nonce)
        request_claim.put(self._request_dict, carried)
        return True

    def _drop(self) -> None:
        self._kelery_passed = False
        self.acknowledge()
        worker_state.task_ready(self)

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """Celery's `revoke(terminate=True)`."""
        if not self.is_run:
            super().terminate(pool, signal)
            return
        logger.warning("run %s: Celery's revoke does not stop a run; set spec.cancel", self.id)

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """Celery stops its tasks at a cold shutdown, and on request when a connection breaks; runs have their
        lease.
        """
        if not self.is_run:
            super().cancel(pool, signal, emit_retry)

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """A pool child has taken the request; the broker hears of it while the body executes."""
        keeper = keeper_access.get()
        try:
            if self._run is not None and keeper is not None:
                keeper.accepted(self._run, pid)
            super().on_accepted(pid, time_accepted)
        finally:
            # Whatever a Request class of the user's does: one that is never acknowledged keeps a place.
            if self._run is not None:
                self.acknowledge()

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Celery's own time limit, from the task's decorator; it says so before the process is dead."""
        keeper = keeper_access.get()
        if self._run is not None and not soft and keeper is not None:
            keeper.timed_out(self._run, timeout)
        super().on_timeout(soft, timeout)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """The body raised, or its process is gone. `return_ok`: the child gave it back, which was reported
        then.
        """
        keeper = keeper_access.get()
        if self._run is not None and keeper is not None and not return_ok:
            error = _bare(exc_info.exception)
            if not isinstance(error, _DYING):
                keeper.returned(self._run, error)
            elif self.timed_out_after is not None and isinstance(error, Terminated):
                self._show_timeout(self.timed_out_after)
        super().on_failure(exc_info, send_failed_event, return_ok)

    def _show_timeout(self, seconds: float) -> None:
        """For plain Celery clients a run that was killed for its time is a FAILURE, not REVOKED."""
        self._already_cancelled = True
        self.task.backend.mark_as_failure(
            self.id, TimeLimitExceeded(seconds), request=self._context, store_result=self.store_errors
        )


def _bare(error: Any) -> BaseException:
    bare = error.exc if isinstance(error, ExceptionWithTraceback) else error
    return bare if isinstance(bare, BaseException) else RuntimeError(str(bare))


def _watching_dispatch(dispatch: Callable[..., Any]) -> Callable[..., Any]:
    def execute_using_pool(self: RunRequest, pool: Any, **kwargs: Any) -> Any:
        job = None
        try:
            job = dispatch(self, pool, **kwargs)
        finally:
            keeper = keeper_access.get()
            if self._run is not None and keeper is not None:
                # A pool that is closing takes nothing, and says so only by returning nothing.
                if job is None:
                    keeper.not_dispatched(self._run)
                    self.acknowledge()
                else:
                    self._run.job = job
        return job

    return execute_using_pool


def _reporting_return(on_success: Callable[..., Any]) -> Callable[..., Any]:
    """What comes this way was given back by the child, whatever it raised; but for its own end."""

    def reported(self: RunRequest, failed_retval_runtime: Any, **kwargs: Any) -> Any:
        keeper = keeper_access.get()
        if self._run is not None and keeper is not None:
            failed, retval, _ = failed_retval_runtime
            error = _bare(retval.exception) if failed else None
            if not isinstance(error, _LEAVING):
                keeper.returned(self._run, error)
        return on_success(self, failed_retval_runtime, **kwargs)

    return reported
