"""The load of each Celery queue, cached for clients that poll: Prometheus and autoscalers.

Invariant: no matter how many clients ask, the ledger gets one query at a time, in one round trip. The result
is cached for `KEPT_SECONDS`, a failure for `AGAIN_SECONDS`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from kelery.errors import LedgerError
from kelery.ledger.async_client import Ledger
from kelery_api.ops import workers_and_queues
from kelery_api.ops.workers_and_queues import QueueStats

KEPT_SECONDS = 5.0
AGAIN_SECONDS = 1.0


class QueueStatsCache:
    """Figures that are at most `KEPT_SECONDS` old."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        alive_within: float,
        default_queue: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._alive_within = alive_within
        self._default_queue = default_queue
        self._clock = clock
        self._asking = asyncio.Lock()
        self._known: dict[str, QueueStats] | LedgerError = {}
        self._good_until = float("-inf")

    async def every(self) -> list[QueueStats]:
        """Every queue that is in use, has a worker, or is the default. Raises LedgerError."""
        return list((await self._stats()).values())

    async def of(self, queue: str) -> QueueStats:
        """The figures of one queue. All zero if it is unknown, such as after scaling to zero workers."""
        return (await self._stats()).get(queue) or QueueStats(queue=queue)

    async def _stats(self) -> dict[str, QueueStats]:
        async with self._asking:
            if self._clock() >= self._good_until:
                await self._ask()
            known = self._known
        if isinstance(known, LedgerError):
            # The error is raised many times, and each raise would extend its traceback.
            raise known.with_traceback(None)
        return known

    async def _ask(self) -> None:
        try:
            used = await workers_and_queues.queues(
                self._ledger, alive_within=self._alive_within, default_queue=self._default_queue
            )
        except LedgerError as error:
            self._known, kept = error, AGAIN_SECONDS
        else:
            self._known, kept = {stats.queue: stats for stats in used}, KEPT_SECONDS
        self._good_until = self._clock() + kept
