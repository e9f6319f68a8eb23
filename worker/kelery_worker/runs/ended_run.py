"""A run whose body no longer executes: what it may have left behind, and how it ended if its child did not
say.
"""

from __future__ import annotations

from kelery.ledger.types import Outcome
from kelery.run.phases import Reason
from kelery_worker.runs import outcomes, processes
from kelery_worker.runs.live_run import LiveRun, Step, Stop

_LOST = {
    Stop.LEASE: "the worker could not renew its lease, so it killed the run before its slot went to another",
    Stop.DRAIN: "the worker was shut down, and the run did not end in time",
}


def remaining(run: LiveRun, *, step: Step, worker_nonce: str) -> set[int]:
    """Processes of the run that must be gone before it is settled.

    A body that returned by itself may leave something running on purpose; one that was stopped, or whose
    process died, may not.
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
    """How it ended, for the case that the child staged nothing."""
    if run.stop is Stop.TIMEOUT:
        return outcomes.failed(
            Reason.TIMEOUT, type_name="Timeout", message=f"ran longer than {run.time_limit:g} seconds"
        )
    if run.stop is Stop.CANCEL:
        # It ended because it was asked to: there is no error to tell of.
        return Outcome(kind="failed", reason=Reason.WORKER_LOST)
    if run.returned and run.error is not None:
        return outcomes.of_error(run.error)
    return outcomes.failed(Reason.WORKER_LOST, type_name="WorkerLost", message=_how_lost(run))


def _how_lost(run: LiveRun) -> str:
    if run.stop in _LOST:
        return _LOST[run.stop]
    if run.returned:
        return "the task returned, but its result could not be stored in Redis"
    return "the process that ran the task died"
