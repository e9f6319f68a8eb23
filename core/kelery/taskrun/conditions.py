"""The four conditions of a run: Admitted, Started, Finished, Succeeded.

Invariant: `lastTransitionTime` changes only when the status of the condition changes. A message is the
meaning of the reason and its remedy, see `kelery.taskrun.reasons`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kelery import timestamps
from kelery.run.model import Record
from kelery.run.phases import Phase, Reason
from kelery.taskrun import truncate
from kelery.taskrun.reasons import CONDITION_TEXTS, REASON_TEXTS

ADMITTED, STARTED, FINISHED, SUCCEEDED = "Admitted", "Started", "Finished", "Succeeded"

_LONGEST_MESSAGE = 2048
_LONGEST_CANCEL_MESSAGE = 512
#: A person may have given a cause, which the message quotes.
_ASKED_FOR = (Reason.CANCELLED_BY_USER.value, Reason.DELETED.value)

_NOT_FINISHED = "The run has not finished."
_STARTED = REASON_TEXTS[Reason.STARTED].meaning
_GOT_SLOT = CONDITION_TEXTS["Admitted"].meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class _Condition:
    type: str
    status: str
    reason: str
    message: str
    #: Microseconds: the last change of its status, unless the previous conditions have an earlier one.
    since: int


def conditions_of(record: Record, *, previous: Any, started: int | None) -> list[dict[str, Any]]:
    """The conditions of a record. `started` is the first start in microseconds, None if there was none."""
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
            _of(SUCCEEDED, "Unknown", reason, _NOT_FINISHED, queued),
        ]
    begin = [
        _of(ADMITTED, "False", reason, message, queued)
        if admitted is None
        else _of(ADMITTED, "True", "Admitted", _GOT_SLOT, admitted),
        _of(STARTED, "False", reason, message, queued)
        if started is None
        else _of(STARTED, "True", "Started", _STARTED, started),
    ]
    return _rendered([*begin, *end], previous=previous)


def conditions_of_lost(*, previous: Any, now: int) -> list[dict[str, Any]]:
    """The conditions of a run that had started and has no record in the ledger. `now` is in microseconds."""
    reason, message = Reason.LEDGER_LOST.value, _advice(Reason.LEDGER_LOST.value)
    conditions = [
        _of(ADMITTED, "True", "Admitted", _GOT_SLOT, now),
        _of(STARTED, "True", "Started", _STARTED, now),
        _of(FINISHED, "True", reason, message, now),
        _of(SUCCEEDED, "False", reason, message, now),
    ]
    return _rendered(conditions, previous=previous)


def conditions_while_unavailable(*, previous: Any, now: int) -> list[dict[str, Any]]:
    """The conditions of a run that could not be submitted. `now` is in microseconds."""
    reason, message = Reason.LEDGER_UNAVAILABLE.value, _advice(Reason.LEDGER_UNAVAILABLE.value)
    conditions = [
        _of(ADMITTED, "False", reason, message, now),
        _of(STARTED, "False", reason, message, now),
        _of(FINISHED, "False", reason, message, now),
        _of(SUCCEEDED, "Unknown", reason, _NOT_FINISHED, now),
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
    """(type, status) -> `lastTransitionTime`, of the previous conditions that are readable."""
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
    return f"{advice.removesuffix('.')}: {why}" if why else advice


def _advice(reason: str, *, queue: str = "") -> str:
    """The message for a reason; "" for a reason of another version."""
    try:
        return REASON_TEXTS[Reason(reason)].message(queue=queue)
    except ValueError:
        return ""


def _first_known(*candidates: int | None) -> int | None:
    return next((moment for moment in candidates if moment is not None), None)
