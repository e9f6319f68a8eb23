"""Queues and workers, as the workers tell of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kelery.ledger import queries
from kelery.ledger.async_client import Ledger
from kelery.run.model import WorkerPresence

_SHOWN = ("kelery", "celery", "started")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What a worker says of itself; a worker of another version may say less, or more."""

    name: str
    queues: tuple[str, ...]
    slots: int | None
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """How much one Celery queue has to do."""

    queue: str
    #: Messages that wait for a worker. Runs that wait for their key are none: more workers would not help.
    queued: int = 0
    running: int = 0
    workers: int = 0

    @property
    def load(self) -> int:
        """What workers are needed for: counting what waits alone would take away those that are busy."""
        return self.queued + self.running


async def workers(ledger: Ledger, *, alive_within: float) -> list[dict[str, Any]]:
    """Every worker that spoke within the last hour; `alive` if it did within `alive_within` seconds."""
    present = await ledger.run(queries.workers())
    return [_worker(worker, alive_within=alive_within) for worker in sorted(present, key=lambda w: w.worker)]


async def queues(ledger: Ledger, *, alive_within: float, default_queue: str) -> list[QueueStats]:
    """Every queue with messages, with running runs or with a worker, and the one for runs that name none."""
    uses, present = await ledger.run_both(queries.queues(), queries.workers())
    used = {use.queue: use for use in uses}
    alive = [worker for worker in present if worker.silent_seconds <= alive_within]
    told = [_told(worker.info_json) for worker in alive]
    names = {default_queue, *used, *(queue for worker in told for queue in worker.queues)}
    return [
        QueueStats(
            queue=name,
            queued=used[name].messages if name in used else 0,
            running=used[name].running if name in used else 0,
            workers=sum(name in worker.queues for worker in told),
        )
        for name in sorted(names)
    ]


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
