"""The four conditions of a run: Admitted, Started, Finished, Succeeded.

A condition's `lastTransitionTime` stays while its status stays. Messages say what to do where there is
something to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kelery import timestamps
from kelery.run.model import Record
from kelery.run.phases import Phase, Reason
from kelery.taskrun import truncate

ADMITTED, STARTED, FINISHED, SUCCEEDED = "Admitted", "Started", "Finished", "Succeeded"

_LONGEST_MESSAGE = 2048
_LONGEST_CANCEL_MESSAGE = 512
#: Somebody may have said why.
_ASKED_FOR = (Reason.CANCELLED_BY_USER.value, Reason.DELETED.value)

#: What to tell about a reason; `{queue}` is the run's.
_ADVICE = {
    Reason.WAITING_FOR_KEY: "waits until its concurrency key has room",
    Reason.WAITING_FOR_WORKER: "waits for a worker of queue {queue}; if none runs, start one",
    Reason.RETRY_BACKOFF: "the attempt failed; the next one follows after a pause and its slot is kept",
    Reason.RETRIED: "the task asked for another attempt",
    Reason.STARTED: "a worker runs it",
    Reason.COMPLETED: "the task returned",
    Reason.TASK_ERROR: "the task raised an exception; see status.error",
    Reason.TIMEOUT: "an attempt took longer than timeoutSeconds; allow more time or shorten the task",
    Reason.WORKER_LOST: "the worker or its process died or was shut down; see status.error or set spec.retry",
    Reason.QUEUE_TIMEOUT: "no worker took it within maxQueueSeconds; add workers of queue {queue}",
    Reason.CONCURRENCY_REJECTED: "its key had no room and its policy is Reject; try later or use Queue",
    Reason.TASK_NOT_REGISTERED: "no worker of queue {queue} knows this task; check spec.task or its imports",
    Reason.MESSAGE_REFUSED: "the worker's app does not take JSON; add it to accept_content",
    Reason.RESULT_NOT_SERIALIZABLE: "the task must return what JSON can say: text, numbers, lists or dicts",
    Reason.RESULT_TOO_LARGE: "the result is larger than 16 MiB; store it elsewhere and return a reference",
    Reason.SPEC_TOO_LARGE: "the spec is too large or nested too deeply; see status.error",
    Reason.SPEC_INVALID: "the spec cannot be run; see status.error",
    Reason.POOL_NOT_SUPPORTED: "the worker cannot stop a task for certain; start it with --pool prefork",
    Reason.LEDGER_LOST: "it had started and the ledger forgot it; check what it did, then create it anew",
    Reason.LEDGER_UNAVAILABLE: "the ledger cannot be reached; check Redis and KELERY_REDIS_URL",
    Reason.CANCELLED_BY_USER: "it was asked to stop",
    Reason.SUPERSEDED: "a newer run of its key takes its place",
    Reason.DELETED: "it was deleted",
    Reason.CANCELLED_AT_CREATE: "spec.cancel was set when it was created; create it without, to run it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Condition:
    type: str
    status: str
    reason: str
    message: str
    #: Microseconds; when its status became what it is, unless `previous` knows better.
    since: int


def conditions_of(record: Record, *, previous: Any, started: int | None) -> list[dict[str, Any]]:
    """The conditions that follow from a record; `started` is the first start, None if there was none."""
    reason, message = truncate.reason(record.reason), _message(record)
    queued = record.queued_at or 0
    ended = record.finished_at or queued
    admitted = _first_known(record.admitted_at, started)
    if record.phase.is_final:
        verdict = "True" if record.phase is Phase.SUCCEEDED else "False"
        end = [_of(FINISHED, "True", reason, message, ended), _of(SUCCEEDED, verdict, reason, message, ended)]
    else:
        end = [
            _of(FINISHED, "False", reason, message, queued),
            _of(SUCCEEDED, "Unknown", reason, "has not ended yet", queued),
        ]
    begin = [
        _of(ADMITTED, "False", reason, message, queued)
        if admitted is None
        else _of(ADMITTED, "True", "Admitted", "got its slot and was put on the queue", admitted),
        _of(STARTED, "False", reason, message, queued)
        if started is None
        else _of(STARTED, "True", "Started", "a worker took it", started),
    ]
    return _rendered([*begin, *end], previous=previous)


def conditions_of_lost(*, previous: Any, now: int) -> list[dict[str, Any]]:
    """The conditions of a run that had started and is not in the ledger any more."""
    reason, message = Reason.LEDGER_LOST.value, _ADVICE[Reason.LEDGER_LOST]
    conditions = [
        _of(ADMITTED, "True", "Admitted", "got its slot and was put on the queue", now),
        _of(STARTED, "True", "Started", "a worker took it", now),
        _of(FINISHED, "True", reason, message, now),
        _of(SUCCEEDED, "False", reason, message, now),
    ]
    return _rendered(conditions, previous=previous)


def conditions_while_unavailable(*, previous: Any, now: int) -> list[dict[str, Any]]:
    """The conditions of a run that could not be submitted: not admitted, and nothing else is known."""
    reason, message = Reason.LEDGER_UNAVAILABLE.value, _ADVICE[Reason.LEDGER_UNAVAILABLE]
    conditions = [
        _of(ADMITTED, "False", reason, message, now),
        _of(STARTED, "False", reason, message, now),
        _of(FINISHED, "False", reason, message, now),
        _of(SUCCEEDED, "Unknown", reason, "has not ended yet", now),
    ]
    return _rendered(conditions, previous=previous)


def _of(type_: str, status: str, reason: str, message: str, since: int) -> _Condition:
    return _Condition(type=type_, status=status, reason=reason, message=message, since=since)


def _rendered(conditions: list[_Condition], *, previous: Any) -> list[dict[str, Any]]:
    known = _transitions(previous)
    return [
        {
            "type": condition.type,
            "status": condition.status,
            "reason": condition.reason,
            "message": truncate.prose(condition.message, longest=_LONGEST_MESSAGE),
            "lastTransitionTime": known.get((condition.type, condition.status))
            or timestamps.whole(condition.since),
        }
        for condition in conditions
    ]


def _transitions(previous: Any) -> dict[tuple[str, str], str]:
    """(type, status) -> since when, of what of the previous conditions is readable."""
    known: dict[tuple[str, str], str] = {}
    for condition in previous if isinstance(previous, list) else ():
        if not isinstance(condition, Mapping):
            continue
        type_, status = condition.get("type"), condition.get("status")
        since = timestamps.readable(condition.get("lastTransitionTime"))
        if isinstance(type_, str) and isinstance(status, str) and since:
            known[type_, status] = since
    return known


def _message(record: Record) -> str:
    advice = _advice(record.reason, queue=record.queue)
    if record.reason not in _ASKED_FOR:
        return advice
    why = truncate.line(record.cancel_message, longest=_LONGEST_CANCEL_MESSAGE).strip()
    return f"{advice}: {why}" if why else advice


def _advice(reason: str, *, queue: str) -> str:
    try:
        return _ADVICE[Reason(reason)].format(queue=queue)
    except (KeyError, ValueError):
        return ""


def _first_known(*candidates: int | None) -> int | None:
    return next((moment for moment in candidates if moment is not None), None)
