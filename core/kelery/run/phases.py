"""The phases of a run, the transitions between them, and the reasons.

Invariant: a final phase never changes, and only the transitions in `TRANSITIONS` happen. The ledger's Lua
library makes the transitions; tests compare it with this table.
"""

from __future__ import annotations

from enum import Enum


class Phase(str, Enum):
    """The phase of a run, in `.status.phase`."""

    WAITING = "Waiting"
    ADMITTED = "Admitted"
    RUNNING = "Running"
    CANCELLING = "Cancelling"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        """Whether this phase never changes."""
        return self in FINAL_PHASES

    @property
    def is_claimed(self) -> bool:
        """Whether a worker has a claim on the run."""
        return self in (Phase.RUNNING, Phase.CANCELLING)


FINAL_PHASES = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED})

#: The phases that can follow a phase; None is before the run exists. Admitted -> Admitted ends a back-off.
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
    """Why a run is in its phase, in `.status.reason` and in its conditions.

    `kelery.taskrun.reasons` has the meaning, cause and remedy of each.
    """

    # Waiting
    WAITING_FOR_KEY = "WaitingForKey"

    # Admitted
    WAITING_FOR_WORKER = "WaitingForWorker"
    RETRY_BACKOFF = "RetryBackoff"

    # Running
    STARTED = "Started"

    # Ended attempts only
    RETRIED = "Retried"

    # Succeeded
    COMPLETED = "Completed"

    # Failed
    TASK_ERROR = "TaskError"
    TIMEOUT = "Timeout"
    WORKER_LOST = "WorkerLost"
    QUEUE_TIMEOUT = "QueueTimeout"
    CONCURRENCY_REJECTED = "ConcurrencyRejected"
    TASK_NOT_REGISTERED = "TaskNotRegistered"
    MESSAGE_REFUSED = "MessageRefused"
    RESULT_NOT_SERIALIZABLE = "ResultNotSerializable"
    RESULT_TOO_LARGE = "ResultTooLarge"
    SPEC_TOO_LARGE = "SpecTooLarge"
    SPEC_INVALID = "SpecInvalid"
    POOL_NOT_SUPPORTED = "PoolNotSupported"
    LEDGER_LOST = "LedgerLost"

    # Cancelling, Cancelled
    CANCELLED_BY_USER = "CancelledByUser"
    SUPERSEDED = "Superseded"
    DELETED = "Deleted"
    CANCELLED_AT_CREATE = "CancelledAtCreate"

    # Conditions only, while there is no phase
    LEDGER_UNAVAILABLE = "LedgerUnavailable"


#: The reasons that `spec.retry.reasons` can contain.
RETRYABLE_REASONS = (Reason.TASK_ERROR, Reason.TIMEOUT, Reason.WORKER_LOST)
