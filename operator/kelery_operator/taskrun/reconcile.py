"""The reconcile loop: takes changed runs, reads the ledger, decides, and executes the actions.

Namespaces take turns in a chunk, and a namespace's runs are in order of creation, so each key is served first
come, first served. While the ledger is unavailable, the loop waits and keeps all runs queued.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kelery.errors import LedgerUnavailable
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.runtime.outage import Outage
from kelery_operator.runtime.watchdog import Watchdog
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.ledger_calls import LedgerCalls
from kelery_operator.taskrun.planning import Planner

#: With specs of 128 KiB, this makes a pipeline of some tens of MB.
_CHUNK = 100
_PATIENCE_SECONDS = 2.0
_OUTAGE_PAUSE = 1.0


class Reconciler:
    """Level-triggered: every round starts from the current record and object."""

    def __init__(
        self,
        *,
        queue: WorkQueue[str],
        planner: Planner,
        calls: LedgerCalls,
        outage: Outage,
        metrics: Metrics,
        watchdog: Watchdog,
    ) -> None:
        self._queue = queue
        self._planner = planner
        self._calls = calls
        self._outage = outage
        self._metrics = metrics
        self._watchdog = watchdog

    async def run(self) -> None:
        """Reconcile forever."""
        while True:
            self._watchdog.idle()
            # While the ledger is unavailable, take all runs, because each status must show it.
            uids = await self._queue.take(most=_CHUNK if self._outage.ledger_answers else None)
            self._watchdog.busy()
            with self._metrics.round_seconds.time():
                await self._round(uids)

    async def _round(self, uids: Sequence[str]) -> None:
        for start in range(0, len(uids), _CHUNK):
            chunk = uids[start : start + _CHUNK]
            self._watchdog.busy()
            try:
                await self._chunk(chunk)
            except LedgerUnavailable as error:
                self._keep(uids[start:], error=error)
                await asyncio.sleep(_OUTAGE_PAUSE)
                return
            finally:
                for uid in chunk if self._outage.ledger_answers else uids[start:]:
                    self._queue.done(uid)

    async def _chunk(self, uids: Sequence[str]) -> None:
        # Plan before the first await: the foreseen records hold only for the current objects.
        foreseen = self._planner.foreseen(uids) if self._outage.ledger_answers else {}
        planned = {uid: self._planner.plan(uid, record=record) for uid, record in foreseen.items()}
        if unknown := [uid for uid in uids if uid not in planned]:
            # An object that changes in the meantime may be newer than the record.
            versions = self._planner.versions(unknown)
            records = await self._calls.records(unknown)
            planned |= {
                uid: self._planner.plan(uid, record=records[uid], version=versions[uid]) for uid in unknown
            }
        if steps := [step for uid in uids for step in planned[uid]]:
            await self._calls.carry_out(steps)

    def _keep(self, uids: Sequence[str], *, error: LedgerUnavailable) -> None:
        """The ledger is unavailable: keep the runs queued, and after a while show why in their status."""
        seconds = self._outage.lasts(error)
        for uid in uids:
            self._queue.add(uid)
            if seconds >= _PATIENCE_SECONDS:
                self._planner.plan_without_ledger(uid)
