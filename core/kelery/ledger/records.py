"""A run's record as the ledger's `view` answers it -> `Record`."""

from __future__ import annotations

import json
from typing import Any

from kelery.model import Attempt, Record
from kelery.phases import Phase


def parse(uid: str, values: Any) -> Record | None:
    """From the flat answer (see RECORD in kelery_v1.lua for the order); None if the run is not known."""
    if not values:
        return None
    *scalars, attempts, held_by = values
    # fmt: off
    (phase, reason, rev, attempt, fence, worker, cluster, namespace, name, origin, key, limit, queue, task,
     queued_at, admitted_at, started_at, finished_at, due, cancel, cancel_reason, progress, error, spec,
     result_bytes, result, position) = scalars
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
        progress_json=progress,
        error_json=error,
        spec_json=spec,
        result_bytes=int(result_bytes),
        result_json=result,
        position=int(position),
        attempts=tuple(_attempt(json.loads(entry)) for entry in attempts),
        held_by=tuple(held_by),
    )


def _time(text: str) -> int | None:
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
