"""Renders the `.status` of a TaskRun from a record of the ledger. Pure.

Invariant: the API server accepts every status that is rendered here, because a refused write would hide the
outcome. `previous` is the status in the API server. Only its times are used, and no value in it makes these
functions fail.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kelery import json_codec, timestamps
from kelery.run.model import Attempt, Record
from kelery.run.phases import Phase, Reason
from kelery.taskrun import conditions, truncate
from kelery.taskrun.validation import as_mapping

#: Only the first waiting runs show their position. For all others, each step of the queue would be a write.
POSITIONS_SHOWN = 10

_ATTEMPTS_SHOWN = 5
_HOLDERS_SHOWN = 5
_MOST_INT64 = 2**63 - 1
_LONGEST_NAME = 512
_LONGEST_PROGRESS = 1024
_LONGEST_ERROR = 4096
_LONGEST_TRACEBACK = 16384


def render(record: Record, *, previous: Mapping[str, Any]) -> dict[str, Any]:
    """The whole `.status` of a run."""
    old = as_mapping(previous)
    started = _first_start(record)
    shown_start = timestamps.readable(old.get("startTime"))
    if started is None and shown_start:
        started = timestamps.parse(shown_start)
    timing = {
        "queued": record.queued_at,
        "admitted": record.admitted_at,
        "started": started,
        "finished": record.finished_at,
    }
    return _present(
        phase=record.phase.value,
        reason=truncate.reason(record.reason),
        attempt=record.attempt,
        worker=_worker(record.worker),
        timing={name: timestamps.precise(moment) for name, moment in timing.items() if moment is not None},
        startTime=shown_start or _whole(started),
        completionTime=_whole(record.finished_at),
        concurrency=_concurrency(record),
        progress=_progress(record.progress_json),
        result=_result(record),
        error=_error(record.error_json),
        attempts=[_attempt(attempt) for attempt in record.attempts[:_ATTEMPTS_SHOWN]],
        conditions=conditions.conditions_of(record, previous=old.get("conditions"), started=started),
    )


def render_ledger_lost(previous: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """The final status of a run that had started and has no record in the ledger."""
    old, moment = as_mapping(previous), timestamps.of(now)
    attempt = _count(old.get("attempt"))
    timing = {
        name: timestamps.readable(as_mapping(old.get("timing")).get(name))
        for name in ("queued", "admitted", "started")
    }
    message = "it is unknown whether the task ended, since the ledger lost its record; it is not run again"
    return _present(
        phase=Phase.FAILED.value,
        reason=Reason.LEDGER_LOST.value,
        attempt=1 if attempt is None else attempt,
        worker=truncate.line(old.get("worker"), longest=_LONGEST_NAME),
        timing=_present(**timing, finished=timestamps.precise(moment)),
        startTime=timestamps.readable(old.get("startTime")),
        completionTime=timestamps.whole(moment),
        error={"type": Reason.LEDGER_LOST.value, "message": message},
        conditions=conditions.conditions_of_lost(previous=old.get("conditions"), now=moment),
    )


def ledger_unavailable(previous: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """The status of a run that could not be submitted. Rendering it again changes nothing."""
    old = as_mapping(previous)
    return {
        **old,
        "conditions": conditions.conditions_while_unavailable(
            previous=old.get("conditions"), now=timestamps.of(now)
        ),
    }


def had_started(status: Mapping[str, Any]) -> bool:
    """Whether the task may have started, according to a status."""
    old = as_mapping(status)
    attempt = old.get("attempt")
    return (
        bool(old.get("startTime"))
        or old.get("phase") in (Phase.RUNNING.value, Phase.CANCELLING.value)
        or (isinstance(attempt, int) and attempt > 1)
    )


def _first_start(record: Record) -> int | None:
    starts = [attempt.started for attempt in record.attempts if attempt.started is not None]
    if record.started_at is not None:
        starts.append(record.started_at)
    return min(starts, default=None)


def _concurrency(record: Record) -> dict[str, Any]:
    if not record.key:
        return {"fence": record.fence} if record.fence else {}
    return _present(
        position=record.position if record.position <= POSITIONS_SHOWN else None,
        heldBy=[truncate.line(name, longest=_LONGEST_NAME) for name in record.held_by[:_HOLDERS_SHOWN]],
        fence=record.fence or None,
    )


def _progress(text: str) -> dict[str, Any]:
    reported = as_mapping(_loaded(text))
    current, total = _count(reported.get("current")), _count(reported.get("total"))
    column = None if current is None else str(current) if total is None else f"{current}/{total}"
    message = truncate.prose(reported.get("message"), longest=_LONGEST_PROGRESS)
    return _present(current=current, total=total, message=message, text=column)


def _result(record: Record) -> dict[str, Any]:
    if record.phase is not Phase.SUCCEEDED or not record.result_bytes:
        return {}
    if record.result_json and record.result_bytes <= json_codec.INLINE_BYTES:
        try:
            return {"value": json_codec.inline_value(record.result_json), "truncated": False}
        except ValueError:
            pass
    # The ledger still has the whole result.
    return {"truncated": True, "path": f"/v1/namespaces/{record.namespace}/taskruns/{record.uid}/result"}


def _error(text: str) -> dict[str, Any]:
    reported = as_mapping(_loaded(text))
    return _present(
        type=truncate.line(reported.get("type"), longest=_LONGEST_NAME),
        message=truncate.prose(reported.get("message"), longest=_LONGEST_ERROR),
        traceback=truncate.ending(reported.get("traceback"), longest=_LONGEST_TRACEBACK),
    )


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return _present(
        attempt=attempt.attempt,
        reason=truncate.reason(attempt.reason),
        errorType=truncate.line(attempt.error_type, longest=_LONGEST_NAME),
        worker=_worker(attempt.worker),
        fence=attempt.fence or None,
        started=None if attempt.started is None else timestamps.precise(attempt.started),
        finished=None if attempt.finished is None else timestamps.precise(attempt.finished),
    )


def _worker(identity: str) -> str:
    """The name of the Celery node, without the nonce of its boot."""
    name, slash, _ = identity.rpartition("/")
    return truncate.line(name if slash else identity, longest=_LONGEST_NAME)


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return max(0, min(int(value), _MOST_INT64))


def _loaded(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def _whole(moment: int | None) -> str | None:
    return None if moment is None else timestamps.whole(moment)


def _present(**fields: Any) -> dict[str, Any]:
    """The fields that are set. 0 and False count as set."""
    return {name: value for name, value in fields.items() if value is not None and value not in ("", [], {})}
