"""The life of a run: phases, the transitions between them, and the reasons.

Invariant: a final phase is never left, and no transition happens that is not in `TRANSITIONS`. The ledger's
Lua library is what moves a run; this table says the same for people, for the status writer and for the tests
that compare the two.
"""

from __future__ import annotations

from enum import Enum


class Phase(str, Enum):
    """Where a run is in its life; `.status.phase`."""

    WAITING = "Waiting"
    ADMITTED = "Admitted"
    RUNNING = "Running"
    CANCELLING = "Cancelling"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        """Whether a run in this phase stays in it for ever."""
        return self in FINAL_PHASES

    @property
    def is_claimed(self) -> bool:
        """Whether a worker holds a claim on a run in this phase."""
        return self in (Phase.RUNNING, Phase.CANCELLING)


FINAL_PHASES = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED})

#: What may follow a phase; None is before the run exists. Admitted -> Admitted is a back-off that is over.
TRANSITIONS: dict[Phase | None, frozenset[Phase]] = {
    None: frozenset({Phase.WAITING, Phase.ADMITTED, Phase.FAILED, Phase.CANCELLED}),
    Phase.WAITING: frozenset({Phase.ADMITTED, Phase.FAILED, Phase.CANCELLED}),
    Phase.ADMITTED: frozenset({Phase.ADMITTED, Phase.RUNNING, Phase.FAILED, Phase.CANCELLED}),
    Phase.RUNNING: frozenset({Phase.ADMITTED, Phase.CANCELLING, Phase.SUCCEEDED, Phase.FAILED}),
    Phase.CANCELLING: frozenset({Phase.SUCCEEDED, Phase.CANCELLED}),
    Phase.SUCCEEDED: frozenset(),
    Phase.FAILED: frozenset(),
    Phase.CANCELLED: frozenset(),
}


class Reason(str, Enum):
    """Why a run is in its phase; `.status.reason` and the reason of its conditions."""

    #: Waiting: the key has no room yet.
    WAITING_FOR_KEY = "WaitingForKey"
    #: Admitted: its message is on the queue, no worker has claimed it yet.
    WAITING_FOR_WORKER = "WaitingForWorker"
    #: Admitted: the slot is kept until the next attempt is due.
    RETRY_BACKOFF = "RetryBackoff"
    #: Running: a worker claimed it.
    STARTED = "Started"
    #: An ended attempt: the task asked Celery for a retry.
    RETRIED = "Retried"
    #: Succeeded: the task returned.
    COMPLETED = "Completed"

    #: Failed: the task raised.
    TASK_ERROR = "TaskError"
    #: Failed: an attempt took longer than timeoutSeconds.
    TIMEOUT = "Timeout"
    #: Failed: the worker, or the process that ran the task, died or lost its lease.
    WORKER_LOST = "WorkerLost"
    #: Failed: not claimed within maxQueueSeconds.
    QUEUE_TIMEOUT = "QueueTimeout"
    #: Failed: policy Reject, and the key had no room.
    CONCURRENCY_REJECTED = "ConcurrencyRejected"
    #: Failed: no worker of the queue knows a task of this name.
    TASK_NOT_REGISTERED = "TaskNotRegistered"
    #: Failed: the worker's app does not take messages in JSON, or could not read this one.
    MESSAGE_REFUSED = "MessageRefused"
    #: Failed: the task returned something that JSON cannot say.
    RESULT_NOT_SERIALIZABLE = "ResultNotSerializable"
    #: Failed: the result is larger than the ledger keeps.
    RESULT_TOO_LARGE = "ResultTooLarge"
    #: Failed: the spec is nested deeper or is larger than allowed.
    SPEC_TOO_LARGE = "SpecTooLarge"
    #: Failed: the spec cannot be run as it is; the message names the field.
    SPEC_INVALID = "SpecInvalid"
    #: Failed: the worker's pool cannot stop one task for certain (only prefork can).
    POOL_NOT_SUPPORTED = "PoolNotSupported"
    #: Failed: it had started, and the ledger has no record of it; whether it ended is unknown, so it is not
    #: run again.
    LEDGER_LOST = "LedgerLost"

    #: Cancelling, Cancelled: spec.cancel, or the gateway's cancel.
    CANCELLED_BY_USER = "CancelledByUser"
    #: Cancelling, Cancelled: a newer run of the key took its place (Replace, QueueLatest).
    SUPERSEDED = "Superseded"
    #: Cancelling, Cancelled: its TaskRun was deleted.
    DELETED = "Deleted"
    #: Cancelled: spec.cancel was set when it was created.
    CANCELLED_AT_CREATE = "CancelledAtCreate"

    #: Condition Admitted=False while the phase is unknown: Redis cannot be reached.
    LEDGER_UNAVAILABLE = "LedgerUnavailable"


#: The reasons that `spec.retry.reasons` may name.
RETRYABLE_REASONS = (Reason.TASK_ERROR, Reason.TIMEOUT, Reason.WORKER_LOST)
