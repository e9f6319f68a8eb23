"""The one lane: take what changed, ask the ledger, decide, and carry out what was decided.

Namespaces take turns in a chunk, and in a namespace the runs stand in order of creation, so first come is
first served wherever a key is shared. While the ledger is away the lane waits for it with everything kept.
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

#: Specs of 128 KiB make a pipeline of some tens of MB.
_CHUNK = 100
_PATIENCE_SECONDS = 2.0
_OUTAGE_PAUSE = 1.0


class Reconciler:
    """Level-triggered: every round starts from the record and the object as they are."""

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
        """Work for ever."""
        while True:
            self._watchdog.idle()
            # While the ledger is away all are taken, since the status of each is to say so.
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
        # Planned before anything is waited for: what is foreseen holds for the objects as they are now.
        foreseen = self._planner.foreseen(uids) if self._outage.ledger_answers else {}
        planned = {uid: self._planner.plan(uid, record=record) for uid, record in foreseen.items()}
        if unknown := [uid for uid in uids if uid not in planned]:
            # An object that changes meanwhile may know more than the record that comes.
            versions = self._planner.versions(unknown)
            records = await self._calls.records(unknown)
            planned |= {
                uid: self._planner.plan(uid, record=records[uid], version=versions[uid]) for uid in unknown
            }
        if steps := [step for uid in uids for step in planned[uid]]:
            await self._calls.carry_out(steps)

    def _keep(self, uids: Sequence[str], *, error: LedgerUnavailable) -> None:
        """The ledger is away: the runs stay queued, and after a while their status says why."""
        seconds = self._outage.lasts(error)
        for uid in uids:
            self._queue.add(uid)
            if seconds >= _PATIENCE_SECONDS:
                self._planner.plan_without_ledger(uid)
