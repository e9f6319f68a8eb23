"""The samples of a soak: the memory of each part, and the stored data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil
import redis

from kelery_bench.figures.costs import resident_bytes
from kelery_bench.local_stack import LocalStack
from kelery_dev.errors import DevError

PREFIX = "kelery"
#: Shown but not judged: these processes execute the tasks, and Celery itself keeps failures for a long time.
POOL = "pool processes"
_STREAM = f"{PREFIX}:events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample; `runs` is the number of runs that had ended."""

    runs: int
    #: Bytes by part.
    memory: Mapping[str, float]
    #: The entries of the ledger's stream, and the records in Redis.
    stream: int
    records: int


class Sampler:
    """Samples the services of one stack."""

    def __init__(self, stack: LocalStack, client: redis.Redis) -> None:
        if stack.operator is None or stack.gateway is None or stack.worker is None:
            raise DevError("a soak needs a stack with operator, gateway and worker")
        self._client = client
        self._pids = {
            "operator": stack.operator.pid,
            "gateway": stack.gateway.pid,
            "worker": stack.worker.pid,
        }

    def look(self, *, runs: int) -> Sample:
        """Take a sample."""
        memory: dict[str, float] = {name: resident_bytes(pid) for name, pid in self._pids.items()}
        memory[POOL] = sum(
            child.memory_info().rss for child in psutil.Process(self._pids["worker"]).children()
        )
        # The stream has its own bound, and grows until then.
        stream_bytes = int(self._client.memory_usage(_STREAM, samples=0) or 0)
        memory["Valkey, without the stream"] = int(self._client.info("memory")["used_memory"]) - stream_bytes
        return Sample(
            runs=runs, memory=memory, stream=int(self._client.xlen(_STREAM)), records=self._records()
        )

    def _records(self) -> int:
        return sum(1 for _ in self._client.scan_iter(f"{PREFIX}:run:*", count=1000))


def hasten_purges(client: redis.Redis, *, margin_seconds: float) -> None:
    """Move purges forward by the margin: records are kept for their ttl and an extra hour.

    It changes only the due times of purges that have the whole margin left.
    """
    timers, margin = f"{PREFIX}:timers", margin_seconds * 1_000_000
    seconds, microseconds = client.time()
    late = seconds * 1_000_000 + microseconds + margin / 2
    due: Any = client.zrangebyscore(timers, late, "+inf", withscores=True)
    purges: dict[bytes, float] = {
        member: score - margin for member, score in due if member.startswith(b"purge|")
    }
    if purges:
        client.zadd(timers, purges, xx=True)
