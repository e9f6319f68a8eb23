"""Compares the ledger with the cluster: at the start, every minute, and when the ledger is back.

Reads the uids in the ledger first, then lists the unfinished TaskRuns. If the list does not have a uid, its
TaskRun was deleted or has finished, and an existence check finds out which. So a missed deletion is found,
and a run that was submitted in between is not mistaken for an orphan.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from kelery.errors import LedgerError
from kelery.kube.answer import KubeError
from kelery.ledger import commands
from kelery.ledger.async_client import Ledger
from kelery.run.phases import FINAL_PHASES
from kelery.taskrun.resource import KIND, Identity
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.runtime.scope import Scope
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.existence_checks import ExistenceChecks
from kelery_operator.taskrun.kube_api import KubeApi
from kelery_operator.taskrun.run_state import RunStates

logger = logging.getLogger("kelery.operator")

#: The field selector of the watch, and of lists of unfinished runs.
UNFINISHED = ",".join(sorted(f"status.phase!={phase.value}" for phase in FINAL_PHASES))
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_CHUNK = 500


class Comparison:
    """Compares once, and queues or checks every difference."""

    def __init__(
        self,
        *,
        api: KubeApi,
        ledger: Ledger,
        scope: Scope,
        states: RunStates,
        queue: WorkQueue[str],
        checks: ExistenceChecks,
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._scope = scope
        self._states = states
        self._queue = queue
        self._checks = checks

    async def run(self) -> None:
        """Compare once. Raises KubeError."""
        before = self._states.present()
        in_ledger = await self._ledger_uids()
        listed: set[str] = set()
        try:
            async for page in self._api.pages(self._scope.namespaces, field_selector=UNFINISHED):
                for body in page:
                    snapshot = self._states.read(body)
                    listed.add(snapshot.who.uid)
                    self._states.put(snapshot)
                await asyncio.sleep(0)
        finally:
            # A list is in order of names. Queue its runs only when all are known. If it breaks off, nothing
            # else would queue the runs that it contained.
            for uid in listed:
                self._queue.add(uid)
        for snapshot in before:
            if snapshot.who.uid not in listed:
                self._checks.add(snapshot.who)
        strangers = sorted(in_ledger - listed)
        for start in range(0, len(strangers), _CHUNK):
            await self._check_strangers(strangers[start : start + _CHUNK])

    async def _ledger_uids(self) -> set[str]:
        """Live and unacknowledged runs; empty during an outage, whose end starts a comparison."""
        cluster = self._scope.cluster
        try:
            live: set[str] = await self._ledger.run(commands.live_uids(cluster))
            final: set[str] = await self._ledger.run(commands.unacknowledged_uids(cluster))
            return live | final
        except LedgerError as error:
            logger.warning("comparing without the data of the ledger: %s", error)
            return set()

    async def _check_strangers(self, uids: Sequence[str]) -> None:
        """Check runs in the ledger that the list does not have."""
        for uid in uids:
            try:
                record = (await self._ledger.run(commands.view([uid], inline_bytes=0)))[0]
            except LedgerError:
                return
            except Exception:
                logger.exception("cannot read the record of a run", extra={"run": uid})
                continue
            # Another operator handles the runs of other namespaces.
            if record and record.origin == KIND and self._scope.has(record.namespace):
                self._checks.add(Identity(uid=uid, namespace=record.namespace, name=record.name))


class Resync:
    """Schedules the comparisons; one per operator."""

    def __init__(self, comparison: Comparison, *, every_seconds: float, metrics: Metrics) -> None:
        self._comparison = comparison
        self._every_seconds = every_seconds
        self._metrics = metrics
        self._wanted = asyncio.Event()

    def soon(self) -> None:
        """Compare at once."""
        self._wanted.set()

    async def first(self) -> None:
        """The comparison at the start. Repeats it until the API server answers."""
        pause = _FIRST_PAUSE
        while not await self._try():
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def run(self) -> None:
        """Compare at intervals, forever."""
        pause = self._every_seconds
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
            self._wanted.clear()
            good = await self._try()
            pause = self._every_seconds if good else min(_FIRST_PAUSE * 5, self._every_seconds)

    async def _try(self) -> bool:
        try:
            await self._comparison.run()
        except KubeError as error:
            self._metrics.resyncs.labels("error").inc()
            logger.warning("cannot compare the ledger with the cluster: %s", error)
            return False
        self._metrics.resyncs.labels("ok").inc()
        return True
