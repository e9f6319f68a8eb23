"""Queues and workers, as the workers tell of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from kelery.errors import LedgerError
from kelery.ledger import register
from kelery.ledger.aio import Ledger
from kelery.ledger.calls import Call
from kelery.model import QueueUse, WorkerPresence

_SHOWN = ("kelery", "celery", "started")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What a worker says of itself; a worker of another version may say less, or more."""

    name: str
    queues: tuple[str, ...]
    slots: int | None
    versions: Mapping[str, str]


async def workers(ledger: Ledger, *, alive_within: float) -> list[dict[str, Any]]:
    """Every worker that spoke within the last hour; `alive` if it did within `alive_within` seconds."""
    present = await ledger.run(register.workers())
    return [_worker(worker, alive_within=alive_within) for worker in sorted(present, key=lambda w: w.worker)]


async def queues(ledger: Ledger, *, alive_within: float, default_queue: str) -> list[dict[str, Any]]:
    """Every queue with messages, with running runs or with a worker, and the one for runs that name none."""
    uses, present = await _both(ledger)
    used = {use.queue: use for use in uses}
    alive = [worker for worker in present if worker.silent_seconds <= alive_within]
    told = [_told(worker.info_json) for worker in alive]
    names = {default_queue, *used, *(queue for worker in told for queue in worker.queues)}
    return [
        {
            "name": name,
            "queued": used[name].messages if name in used else 0,
            "running": used[name].running if name in used else 0,
            "workers": sum(name in worker.queues for worker in told),
        }
        for name in sorted(names)
    ]


async def _both(ledger: Ledger) -> tuple[list[QueueUse], list[WorkerPresence]]:
    """In one round trip; LedgerError if either fails."""
    calls: list[Call[Any]] = [register.queues(), register.workers()]
    answers = await ledger.run_all(calls)
    for answer in answers:
        if isinstance(answer, LedgerError):
            raise answer
    uses, present = answers
    return cast(list[QueueUse], uses), cast(list[WorkerPresence], present)


def _worker(present: WorkerPresence, *, alive_within: float) -> dict[str, Any]:
    told = _told(present.info_json)
    return {
        "id": present.worker,
        "name": told.name or present.worker.rpartition("/")[0] or present.worker,
        "alive": present.silent_seconds <= alive_within,
        "silentSeconds": round(max(0.0, present.silent_seconds), 1),
        "queues": list(told.queues),
        "slots": told.slots,
        "running": len(present.claims),
        "runs": sorted(present.claims),
        **told.versions,
    }


def _told(info_json: str) -> _Told:
    try:
        info = json.loads(info_json)
    except ValueError:
        info = {}
    info = info if isinstance(info, Mapping) else {}
    slots = info.get("slots")
    return _Told(
        name=_text(info.get("name")),
        queues=tuple(_texts(info.get("queues"))),
        slots=slots if isinstance(slots, int) and not isinstance(slots, bool) else None,
        versions={field: _text(info.get(field)) for field in _SHOWN},
    )


def _texts(value: Any) -> Iterable[str]:
    return (item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
