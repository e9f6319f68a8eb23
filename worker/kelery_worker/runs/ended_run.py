"""An ended run: the processes that it left, and its outcome if the child staged none."""

from __future__ import annotations

from kelery.ledger.types import Outcome
from kelery.run.phases import Reason
from kelery_worker.runs import outcomes, processes
from kelery_worker.runs.live_run import LiveRun, Step, Stop

_LOST = {
    Stop.LEASE: "the worker could not renew the lease, and killed the run before its slot went to another",
    Stop.DRAIN: "the worker shut down and the run did not end in time",
}


def remaining(run: LiveRun, *, step: Step, worker_nonce: str) -> set[int]:
    """The processes of the run that must be dead before it is settled.

    A task that returned by itself may leave processes running on purpose. A task that was stopped, or whose
    process died, must not.
    """
    if step is Step.HAND_BACK or (run.stop is None and not run.dead):
        return set()
    return processes.belonging(
        marker=processes.run_marker(worker_nonce=worker_nonce, uid=run.claim.uid, fence=run.claim.fence),
        child=run.pid,
        since=run.accepted_ticks,
        until=run.returned_ticks,
        remembered=run.descendants,
    )


def outcome(run: LiveRun) -> Outcome:
    """The outcome if the child staged none."""
    if run.stop is Stop.TIMEOUT:
        return outcomes.failed(
            Reason.TIMEOUT, type_name="Timeout", message=f"ran longer than {run.time_limit:g} seconds"
        )
    if run.stop is Stop.CANCEL:
        # It ended because of the cancel, so there is no error.
        return Outcome(kind="failed", reason=Reason.WORKER_LOST)
    if run.returned and run.error is not None:
        return outcomes.of_error(run.error)
    return outcomes.failed(Reason.WORKER_LOST, type_name="WorkerLost", message=_how_lost(run))


def _how_lost(run: LiveRun) -> str:
    if run.stop in _LOST:
        return _LOST[run.stop]
    if run.returned:
        return "the task returned, but its result could not be stored in the ledger"
    return "the process that executed the task died"
