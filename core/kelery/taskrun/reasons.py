"""What each phase and each reason means, what causes it, and what to do about it.

The messages of a TaskRun's conditions and docs/reference/phases-and-reasons.md are made from these texts.

Invariant: every `Phase` and every `Reason` has a text. Texts are Markdown: names are in backticks.
`{queue}` stands for the run's queue. A meaning is one sentence, and fits every phase that shows the reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from kelery.run.phases import Phase, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonText:
    """One reason. `remedy` is "" if there is nothing to do."""

    meaning: str
    cause: str
    remedy: str = ""
    #: The phases that `status.reason` explains with it.
    phases: tuple[Phase, ...] = ()
    #: Whether an ended attempt can have it.
    of_attempts: bool = False

    def message(self, *, queue: str) -> str:
        """Meaning and remedy for a condition, as plain text."""
        text = f"{self.meaning} {self.remedy}" if self.remedy else self.meaning
        return text.replace("`", "").replace("{queue}", f"queue {queue}")


PHASE_TEXTS = {
    Phase.WAITING: "The run waits for a free slot of its concurrency key.",
    Phase.ADMITTED: "The run has a slot, and waits for a worker or for its next attempt.",
    Phase.RUNNING: "A worker claimed the run and executes the task.",
    Phase.CANCELLING: "The run must stop, and its processes have not all ended. It keeps its slot.",
    Phase.SUCCEEDED: "The task returned.",
    Phase.FAILED: "The run ended without a result, and there is no further attempt.",
    Phase.CANCELLED: "The run was stopped or never started. None of its code executes.",
}

REASON_TEXTS = {
    Reason.WAITING_FOR_KEY: ReasonText(
        phases=(Phase.WAITING,),
        meaning="The run waits for a free slot of its concurrency key.",
        cause="Other runs hold all slots of the key, or wait ahead of this run. `status.concurrency.heldBy`"
        " names up to five holders. `status.concurrency.position` is the run's place.",
        remedy="To free a slot sooner, cancel a run that holds the key.",
    ),
    Reason.WAITING_FOR_WORKER: ReasonText(
        phases=(Phase.ADMITTED,),
        meaning="The run waits for a worker of {queue}.",
        cause="Its message is in the queue. The workers of the queue are busy, or no worker with the"
        " plug-in takes the queue.",
        remedy="If this persists, start a worker with the plug-in for {queue}, or add workers.",
    ),
    Reason.RETRY_BACKOFF: ReasonText(
        phases=(Phase.ADMITTED,),
        meaning="An attempt has ended, and the next one starts after a pause.",
        cause="`spec.retry` allows another attempt, or the task asked Celery for a retry. The run keeps its"
        " slot. `status.attempts` shows how the attempt ended.",
    ),
    Reason.STARTED: ReasonText(
        phases=(Phase.RUNNING,),
        meaning="A worker claimed the run.",
        cause="Normal operation. `status.worker` names the worker.",
    ),
    Reason.RETRIED: ReasonText(
        of_attempts=True,
        meaning="The task asked Celery for another attempt.",
        cause="The task called `self.retry`, or has `autoretry_for`. Celery's `max_retries` limits these"
        " attempts.",
    ),
    Reason.COMPLETED: ReasonText(
        phases=(Phase.SUCCEEDED,),
        of_attempts=True,
        meaning="The task returned.",
        cause="Normal operation. A task that returns although it was cancelled has succeeded too.",
    ),
    Reason.TASK_ERROR: ReasonText(
        phases=(Phase.FAILED,),
        of_attempts=True,
        meaning="The task raised an exception.",
        cause="An error in the task or in its arguments. `Ignore`, `Reject` and `self.replace` fail a run"
        " too.",
        remedy="Read `status.error`, fix the task or its arguments, and create a new run.",
    ),
    Reason.TIMEOUT: ReasonText(
        phases=(Phase.FAILED,),
        of_attempts=True,
        meaning="An attempt reached its time limit.",
        cause="The attempt took longer than `spec.timeoutSeconds`, or than Celery's own hard time limit.",
        remedy="Raise the limit or shorten the task, and create a new run.",
    ),
    Reason.WORKER_LOST: ReasonText(
        phases=(Phase.FAILED,),
        of_attempts=True,
        meaning="The worker or its process ended before the run did, or lost its lease.",
        cause="The process was killed, often at a memory limit. The worker was killed, was shut down before"
        " the run ended, or did not reach Redis. `status.error` shows which.",
        remedy="Read `status.error`, check the worker's memory limit, its shutdown and Redis, and create a"
        " new run or set `spec.retry`.",
    ),
    Reason.QUEUE_TIMEOUT: ReasonText(
        phases=(Phase.FAILED,),
        meaning="No worker claimed the run within `spec.concurrency.maxQueueSeconds`.",
        cause="The key had no free slot, or the queue had no free worker.",
        remedy="Check which runs hold the key, add workers of {queue}, or raise `maxQueueSeconds`.",
    ),
    Reason.CONCURRENCY_REJECTED: ReasonText(
        phases=(Phase.FAILED,),
        meaning="The key had no free slot, and the policy of the run is `Reject`.",
        cause="Other runs held all slots of the key, or waited for one, when the run was submitted.",
        remedy="Create a new run later, or use the policy `Queue`.",
    ),
    Reason.TASK_NOT_REGISTERED: ReasonText(
        phases=(Phase.FAILED,),
        of_attempts=True,
        meaning="The run was taken from {queue} by a worker that does not know the task.",
        cause="`spec.task` is misspelled, `spec.queue` leads to workers of another app, or the app does not"
        " import the task's module.",
        remedy="Check `spec.task`, `spec.queue` and the imports of the app, and create a new run.",
    ),
    Reason.MESSAGE_REFUSED: ReasonText(
        phases=(Phase.FAILED,),
        of_attempts=True,
        meaning="The worker cannot read the message of the run.",
        cause="The app's `accept_content` does not contain `json`.",
        remedy="Add `json` to `accept_content` of the app, and create a new run.",
    ),
    Reason.RESULT_NOT_SERIALIZABLE: ReasonText(
        phases=(Phase.FAILED,),
        of_attempts=True,
        meaning="The task returned a value that JSON cannot represent.",
        cause="The value contains NaN, an infinity, an integer beyond 64 bits, invalid Unicode, itself, or"
        " an object of another type. Dates, UUIDs, decimals and enums are converted. `status.error`"
        " shows the cause.",
        remedy="Return strings, numbers, lists or dicts, and create a new run.",
    ),
    Reason.RESULT_TOO_LARGE: ReasonText(
        phases=(Phase.FAILED,),
        of_attempts=True,
        meaning="The result is larger than 16 MiB of JSON.",
        cause="The ledger does not keep larger results.",
        remedy="Store the result elsewhere, return a reference to it, and create a new run.",
    ),
    Reason.SPEC_TOO_LARGE: ReasonText(
        phases=(Phase.FAILED,),
        meaning="The spec is too large or nested too deeply.",
        cause="The spec has more than 128 KiB of JSON, or `spec.args` or `spec.kwargs` has more than 32"
        " levels. The API server accepts this, the REST API answers 422.",
        remedy="Pass a reference to the data instead, and create a new run.",
    ),
    Reason.SPEC_INVALID: ReasonText(
        phases=(Phase.FAILED,),
        meaning="The spec cannot be run.",
        cause="The CRD in the cluster has another version than Kelery, or `spec.queue` is the name of a"
        " Redis key that is not a queue. `status.error` names the field.",
        remedy="Read `status.error`, fix the field, and create a new run.",
    ),
    Reason.POOL_NOT_SUPPORTED: ReasonText(
        phases=(Phase.FAILED,),
        of_attempts=True,
        meaning="The pool of the worker cannot stop a single task.",
        cause="The worker does not use the prefork pool. Other pools have no process for each task.",
        remedy="Start the worker with `--pool prefork`, and create a new run.",
    ),
    Reason.LEDGER_LOST: ReasonText(
        phases=(Phase.FAILED,),
        meaning="The run had started, and the ledger has no record of it.",
        cause="Redis lost its data, or the operator uses another Redis, database or prefix than before. It"
        " is unknown whether the task ended, so it is not run again.",
        remedy="Check what the task did, then create a new run.",
    ),
    Reason.CANCELLED_BY_USER: ReasonText(
        phases=(Phase.CANCELLING, Phase.CANCELLED),
        of_attempts=True,
        meaning="Cancellation was requested.",
        cause="`spec.cancel` was set, or the run was cancelled with the REST API.",
    ),
    Reason.SUPERSEDED: ReasonText(
        phases=(Phase.CANCELLING, Phase.CANCELLED),
        of_attempts=True,
        meaning="A newer run of the key took its place.",
        cause="The newer run has the policy `Replace`, or has `QueueLatest` and this run waited.",
        remedy="To keep both, submit the newer run with the policy `Queue`.",
    ),
    Reason.DELETED: ReasonText(
        phases=(Phase.CANCELLING, Phase.CANCELLED),
        of_attempts=True,
        meaning="The run was deleted.",
        cause="Its TaskRun was deleted, or the run was deleted with the REST API. `kubectl get` does not"
        " show it.",
    ),
    Reason.CANCELLED_AT_CREATE: ReasonText(
        phases=(Phase.CANCELLED,),
        meaning="The run was created with `spec.cancel`, so it never started.",
        cause="The manifest or the request contains `spec.cancel`, for example in a copy of a cancelled"
        " TaskRun.",
        remedy="Create a new run without `spec.cancel`.",
    ),
    Reason.LEDGER_UNAVAILABLE: ReasonText(
        meaning="The run is not submitted yet, because the ledger does not answer.",
        cause="Redis is unreachable, refuses writes or is too old. `status.phase` is not set.",
        remedy="Check Redis and `KELERY_REDIS_URL` of the operator, which submits the run when Redis"
        " answers.",
    ),
}

#: Reasons that only conditions have, and no constant names.
CONDITION_TEXTS = {
    "Admitted": ReasonText(
        meaning="The run got a slot and was sent to its queue.",
        cause="Normal operation. The reason of the condition `Admitted`, once it is true.",
    ),
    "Unknown": ReasonText(
        meaning="The reason cannot be shown.",
        cause="The ledger has a reason that is not one word, written by another version of Kelery.",
        remedy="Use the same version of Kelery everywhere.",
    ),
}
