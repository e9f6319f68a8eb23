"""The start gate: claims a run before its task may start.

`revoked()` is Celery's last check in the main process before it hands a request to the pool. Celery derives a
class from a task's Request that shadows `execute_using_pool` and `on_success`, so those two are wrapped when
that class is created.

Invariant: a run reaches the pool only with a granted claim. Its message is acknowledged once a child has
taken it, no matter what `acks_late` says: the ledger, not the broker, redelivers a run. If the worker dies
before that, the broker redelivers a message for a claimed attempt, which starts nothing. Celery's `revoke`
has no effect on a run.
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

#: Errors that Celery itself reports for a process that is ending or gone.
_DYING = (SystemExit, KeyboardInterrupt, WorkerLostError, Terminated, TimeLimitExceeded)
#: Errors that a child reports before it ends.
_LEAVING = (SystemExit, KeyboardInterrupt)

# The published types of Celery's Request lack some methods that are overridden here.
_Request: Any = celery_request.Request


class RunRequest(_Request):  # type: ignore[misc]
    """Celery's Request with the start gate; plain messages keep Celery's own behaviour."""

    #: Set by the watcher when it stops the run at its time limit; in seconds.
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
        """Whether this is a run, and not a plain task that was sent with a run's headers."""
        return bool(self._request_dict.get(run_message.HEADER) == self.id)

    def revoked(self) -> bool:
        """Celery's check before a start; True prevents the start."""
        if not self.is_run:
            return bool(super().revoked())
        if self._kelery_passed is None:
            try:
                self._kelery_passed = self._gate()
            except Exception:
                # Celery expects no exception here, and would lose a slot of its pool. The ledger redelivers.
                logger.exception("run %s: the claim failed", self.id)
                self._drop()
        return not self._kelery_passed

    def _gate(self) -> bool:
        keeper = keeper_access.get()
        if keeper is None or keeper.is_draining:
            # Not acknowledged: the broker requeues the message when this worker's connection closes.
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
        logger.warning("run %s: ignored Celery's revoke; set spec.cancel to stop the run", self.id)

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """Celery's cancel at a cold shutdown or a broken connection; ignored for runs, which have a lease."""
        if not self.is_run:
            super().cancel(pool, signal, emit_retry)

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """A pool child has taken the request; acknowledge its message."""
        keeper = keeper_access.get()
        try:
            if self._run is not None and keeper is not None:
                keeper.accepted(self._run, pid)
            super().on_accepted(pid, time_accepted)
        finally:
            # Even if a user's Request class raises: an unacknowledged request would occupy a slot.
            if self._run is not None:
                self.acknowledge()

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Celery's own time limit is over; Celery calls this before the process is dead."""
        keeper = keeper_access.get()
        if self._run is not None and not soft and keeper is not None:
            keeper.timed_out(self._run, timeout)
        super().on_timeout(soft, timeout)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> None:
        """The task raised, or its process is gone. `return_ok`: the child returned it, already reported."""
        keeper = keeper_access.get()
        if self._run is not None and keeper is not None and not return_ok:
            error = _bare(exc_info.exception)
            if not isinstance(error, _DYING):
                keeper.returned(self._run, error)
            elif self.timed_out_after is not None and isinstance(error, Terminated):
                self._show_timeout(self.timed_out_after)
        super().on_failure(exc_info, send_failed_event, return_ok)

    def _show_timeout(self, seconds: float) -> None:
        """Celery clients see a run that exceeded its time limit as FAILURE, not as REVOKED."""
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
                # A pool that is closing accepts nothing, and returns None.
                if job is None:
                    keeper.not_dispatched(self._run)
                    self.acknowledge()
                else:
                    self._run.job = job
        return job

    return execute_using_pool


def _reporting_return(on_success: Callable[..., Any]) -> Callable[..., Any]:
    """Report every request that the child returned, except the child's own end."""

    def reported(self: RunRequest, failed_retval_runtime: Any, **kwargs: Any) -> Any:
        keeper = keeper_access.get()
        if self._run is not None and keeper is not None:
            failed, retval, _ = failed_retval_runtime
            error = _bare(retval.exception) if failed else None
            if not isinstance(error, _LEAVING):
                keeper.returned(self._run, error)
        return on_success(self, failed_retval_runtime, **kwargs)

    return reported
