"""Checks whether a TaskRun exists that left the watch, that changed before a write, or that no list shows.

The watch hides finished TaskRuns, so its event "deleted" may mean "became final". Only an answer of the API
server (no such object, or another uid) proves that a TaskRun is gone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from kelery.kube.answer import KubeError
from kelery.taskrun.resource import Identity
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.run_state import RunStates

logger = logging.getLogger("kelery.operator")

CHECKERS = 8


class ObjectSource(Protocol):
    """The requests that a check needs."""

    async def get(self, namespace: str, name: str) -> Mapping[str, Any] | None: ...


class ExistenceChecks:
    """A separate queue, so that other work does not wait for the round trip of a check."""

    def __init__(
        self, api: ObjectSource, *, states: RunStates, queue: WorkQueue[str], metrics: Metrics
    ) -> None:
        self._api = api
        self._states = states
        self._queue = queue
        self._metrics = metrics
        self._wanted: WorkQueue[Identity] = WorkQueue()

    def __len__(self) -> int:
        return len(self._wanted)

    def add(self, who: Identity) -> None:
        """Check whether the TaskRun exists, then queue the run."""
        self._wanted.add(who)

    async def run(self) -> None:
        """One checker. Run several concurrently."""
        while True:
            for who in await self._wanted.take(most=1):
                try:
                    await self._check(who)
                except KubeError as error:
                    self._metrics.checks.labels("error").inc()
                    pause = self._wanted.retry(who)
                    logger.warning(
                        "cannot check whether a TaskRun exists: %s",
                        error,
                        extra={"run": who.uid, "pause": pause},
                    )
                else:
                    self._wanted.forget(who)
                finally:
                    self._wanted.done(who)

    async def _check(self, who: Identity) -> None:
        if not who.name or not who.namespace:
            # The record was damaged by hand. Without a name there is nothing to check.
            self._metrics.checks.labels("unnamed").inc()
            return
        body = await self._api.get(who.namespace, who.name)
        snapshot = None if body is None else self._states.read(body)
        if snapshot is None or snapshot.who.uid != who.uid:
            self._metrics.checks.labels("gone").inc()
            self._states.mark_gone(who.uid)
        else:
            self._metrics.checks.labels("present").inc()
            self._states.put(snapshot)
        self._queue.add(who.uid)
