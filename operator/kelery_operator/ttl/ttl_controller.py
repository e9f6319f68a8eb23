"""Deletes finished TaskRuns when their ttl is over.

The ledger keeps an index of the due times, but the object decides: each TaskRun is read again before its
deletion, and deleted only in the state that was read (uid and resourceVersion). The watch does not show
finished TaskRuns, so a slow sweep finds ttls that became shorter.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kelery.errors import LedgerError
from kelery.kube.answer import KubeError
from kelery.ledger import commands
from kelery.ledger.async_client import Ledger
from kelery.run.phases import FINAL_PHASES
from kelery.taskrun.resource import Identity
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.runtime.scope import Scope
from kelery_operator.taskrun.decide import effective_ttl
from kelery_operator.taskrun.kube_api import KubeApi
from kelery_operator.taskrun.snapshot import Snapshot, completed_at, snapshot_of

logger = logging.getLogger("kelery.operator")

_POLL_SECONDS = 1.0
_AT_ONCE = 8
_BATCH = 500
_TROUBLE_SECONDS = 30.0
_FIRST_SWEEP_SECONDS = 30.0


class TtlController:
    """One per operator."""

    def __init__(
        self,
        *,
        api: KubeApi,
        ledger: Ledger,
        scope: Scope,
        default_ttl_seconds: int,
        sweep_seconds: float,
        metrics: Metrics,
    ) -> None:
        self._api = api
        self._ledger = ledger
        self._scope = scope
        self._default_ttl_seconds = default_ttl_seconds
        self._sweep_seconds = sweep_seconds
        self._metrics = metrics
        self._bound = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        """Delete due TaskRuns, forever."""
        while True:
            try:
                due = await self._ledger.run(
                    commands.expired(self._scope.cluster, now=time.time(), count=_BATCH)
                )
                ours = [entry for entry in due if self._scope.has(entry[1])]
                await asyncio.gather(*(self._expire(uid, namespace, name) for uid, namespace, name in ours))
            except LedgerError:
                # The index is in the ledger, so retry until the ledger is back.
                pass
            except Exception:
                logger.exception("cannot look for expired TaskRuns")
            await asyncio.sleep(_POLL_SECONDS)

    async def run_sweep(self) -> None:
        """Record again, at long intervals, when each finished TaskRun is due."""
        await asyncio.sleep(min(_FIRST_SWEEP_SECONDS, self._sweep_seconds))
        while True:
            try:
                for phase in sorted(FINAL_PHASES):
                    selector = f"status.phase={phase.value}"
                    async for page in self._api.pages(self._scope.namespaces, field_selector=selector):
                        await self._note(page)
            except (KubeError, LedgerError) as error:
                logger.warning("cannot scan finished TaskRuns for changed ttls: %s", error)
            await asyncio.sleep(self._sweep_seconds)

    async def _note(self, page: Sequence[Mapping[str, Any]]) -> None:
        notes = []
        for body in page:
            snapshot = snapshot_of(body)
            due = self._due(snapshot)
            if due is not None:
                notes.append(self._later(snapshot.who, due=due))
        if notes:
            await self._ledger.run_all(notes)

    async def _expire(self, uid: str, namespace: str, name: str) -> None:
        who = Identity(uid=uid, namespace=namespace, name=name)
        async with self._bound:
            try:
                result = await self._delete_if_due(who)
            except KubeError as error:
                result = "error"
                logger.warning("cannot delete a finished TaskRun: %s", error, extra={"run": uid})
                await self._ledger.run(self._later(who, due=time.time() + _TROUBLE_SECONDS))
            self._metrics.expired.labels(result).inc()

    async def _delete_if_due(self, who: Identity) -> str:
        body = await self._api.get(who.namespace, who.name)
        snapshot = snapshot_of(body) if body is not None else None
        if body is None or snapshot is None or snapshot.who.uid != who.uid:
            await self._forget(who)
            return "gone"
        due = self._due(snapshot)
        if due is None:
            await self._forget(who)
            return "kept"
        if due > time.time():
            await self._ledger.run(self._later(who, due=due))
            return "later"
        version = str((body.get("metadata") or {}).get("resourceVersion") or "")
        answer = await self._api.delete(who.namespace, who.name, uid=who.uid, resource_version=version)
        if answer.status == 409:
            # It changed since it was read. The next round reads it again.
            return "changed"
        if answer.status not in (200, 202, 404):
            raise answer.error()
        await self._forget(who)
        return "deleted"

    def _due(self, snapshot: Snapshot) -> float | None:
        """When it must be deleted; None if never, or if it is not finished."""
        ttl = effective_ttl(snapshot, default_ttl_seconds=self._default_ttl_seconds)
        if ttl is None or not snapshot.is_final:
            return None
        completed = completed_at(snapshot.status)
        # If the completion time was damaged by hand, the ttl starts now.
        return (time.time() if completed is None else completed) + ttl

    def _later(self, who: Identity, *, due: float) -> commands.Call[None]:
        return commands.expire_later(
            self._scope.cluster, uid=who.uid, namespace=who.namespace, name=who.name, due=due
        )

    async def _forget(self, who: Identity) -> None:
        await self._ledger.run(
            commands.forget_expired(self._scope.cluster, uid=who.uid, namespace=who.namespace, name=who.name)
        )
