"""Queues and workers, from the workers' own reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kelery.ledger import queries
from kelery.ledger.async_client import Ledger
from kelery.run.model import WorkerPresence
from kelery_api.models import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """The load of one Celery queue."""

    queue: str
    #: Messages that wait for a worker. Runs that wait for their key do not count: workers would not help.
    queued: int = 0
    running: int = 0
    workers: int = 0

    @property
    def load(self) -> int:
        """The figure to scale workers by. With `queued` alone, a scaler would remove busy workers."""
        return self.queued + self.running


async def workers(ledger: Ledger, *, alive_within: float) -> list[Worker]:
    """Every worker that reported within the last hour; `alive` if within `alive_within` seconds."""
    present = await ledger.run(queries.workers())
    return [_worker(worker, alive_within=alive_within) for worker in sorted(present, key=lambda w: w.worker)]


async def queues(ledger: Ledger, *, alive_within: float, default_queue: str) -> list[QueueStats]:
    """Every queue with messages, running runs or a worker, and the default queue."""
    uses, present = await ledger.run_both(queries.queues(), queries.workers())
    used = {use.queue: use for use in uses}
    shown = [_worker(worker, alive_within=alive_within) for worker in present]
    taken = [worker["queues"] for worker in shown if worker["alive"]]
    names = {default_queue, *used, *(queue for queues in taken for queue in queues)}
    return [
        QueueStats(
            queue=name,
            queued=used[name].messages if name in used else 0,
            running=used[name].running if name in used else 0,
            workers=sum(name in queues for queues in taken),
        )
        for name in sorted(names)
    ]


def _worker(present: WorkerPresence, *, alive_within: float) -> Worker:
    info = _reported(present.info_json)
    slots = info.get("slots")
    return {
        "id": present.worker,
        "name": _text(info.get("name")) or present.worker.rpartition("/")[0] or present.worker,
        "alive": present.silent_seconds <= alive_within,
        "silentSeconds": round(max(0.0, present.silent_seconds), 1),
        "queues": _texts(info.get("queues")),
        "slots": slots if isinstance(slots, int) and not isinstance(slots, bool) else None,
        "running": len(present.claims),
        "runs": sorted(present.claims),
        "kelery": _text(info.get("kelery")),
        "celery": _text(info.get("celery")),
        "started": _text(info.get("started")),
    }


def _reported(info_json: str) -> Mapping[str, Any]:
    """A worker's report about itself. Workers of other versions can report less or more."""
    try:
        info = json.loads(info_json)
    except ValueError:
        return {}
    return info if isinstance(info, Mapping) else {}


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
