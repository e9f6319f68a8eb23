"""Parses the reply of the ledger's `view` into a `Record`."""

from __future__ import annotations

import json
from typing import Any

from kelery.run.model import Attempt, Brief, Record, Transition
from kelery.run.phases import Phase

#: The number of values in a reply of `view` at this revision. Later revisions add values at the end.
_KNOWN = 32


def parse(uid: str, values: Any) -> Record | None:
    """From the flat reply (RECORD in lua/record.lua has the order); None if the run is unknown."""
    if not values:
        return None
    # fmt: off
    (phase, reason, rev, attempt, fence, worker, cluster, namespace, name, origin, key, limit, queue, task,
     queued_at, admitted_at, started_at, finished_at, due, cancel, cancel_reason, progress, error, spec,
     result_bytes, result, position, attempts, held_by, requester, cancel_message, deleted) = values[:_KNOWN]
    # fmt: on
    return Record(
        uid=uid,
        phase=Phase(phase),
        reason=reason,
        rev=int(rev),
        attempt=int(attempt),
        fence=int(fence or 0),
        worker=worker,
        cluster=cluster,
        namespace=namespace,
        name=name,
        origin=origin,
        key=key,
        limit=int(limit or 1),
        queue=queue,
        task=task,
        queued_at=_time(queued_at),
        admitted_at=_time(admitted_at),
        started_at=_time(started_at),
        finished_at=_time(finished_at),
        due=_time(due),
        cancel=cancel,
        cancel_reason=cancel_reason,
        cancel_message=cancel_message,
        progress_json=progress,
        error_json=error,
        spec_json=spec,
        result_bytes=int(result_bytes),
        result_json=result,
        position=int(position),
        attempts=tuple(_attempt(json.loads(entry)) for entry in attempts),
        held_by=tuple(held_by),
        requester=requester,
        is_deleted=deleted == "1",
    )


#: The fields of a `Brief`, in the order of the values that `brief` takes.
BRIEF_FIELDS = ("phase", "reason", "name", "task", "key", "queued_at", "admitted_at")


def brief(uid: str, values: Any) -> Brief | None:
    """From the values of BRIEF_FIELDS; None if the run is unknown."""
    phase, reason, name, task, key, queued_at, admitted_at = values
    if not phase:
        return None
    return Brief(
        uid=uid,
        name=name,
        phase=Phase(phase),
        reason=reason,
        task=task,
        key=key or "",
        queued_at=int(queued_at),
        admitted_at=_time(admitted_at),
    )


def transition(text: str) -> Transition:
    """From an entry in a run's history."""
    rev, phase, reason, attempt, at = text.split("|")
    return Transition(rev=int(rev), phase=Phase(phase), reason=reason, attempt=int(attempt), at=int(at))


def _time(text: str | None) -> int | None:
    return int(text) if text else None


def _attempt(fields: dict[str, str]) -> Attempt:
    return Attempt(
        attempt=int(fields["attempt"]),
        reason=fields["reason"],
        error_type=fields["type"],
        worker=fields["worker"],
        fence=int(fields["fence"] or 0),
        started=_time(fields["started"]),
        finished=_time(fields["finished"]),
    )
