"""Looking again for a TaskRun that left the watch, or that the ledger knows and no list shows.

The watch filters finished runs out, so "deleted" there may mean "became final", also by somebody's hand.
Only an answer of the API server (no such object, or one of another uid) makes a run gone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from kelery.kube.session import KubeError
from kelery.taskrun.resource import Identity, identity, metadata_of
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.cache import Cache

logger = logging.getLogger(__name__)

CHECKERS = 8


class ObjectSource(Protocol):
    """What a look needs of the API server."""

    async def get(self, namespace: str, name: str) -> Mapping[str, Any] | None: ...


class ExistenceChecks:
    """A queue of its own, since a look takes a round trip that others need not wait for."""

    def __init__(self, api: ObjectSource, *, cache: Cache, queue: WorkQueue, metrics: Metrics) -> None:
        self._api = api
        self._cache = cache
        self._queue = queue
        self._metrics = metrics
        self._wanted: dict[str, Identity] = {}
        self._looks = WorkQueue()

    def __len__(self) -> int:
        return len(self._wanted)

    def add(self, who: Identity) -> None:
        """Find out whether this run's TaskRun is there, and have it dealt with."""
        self._wanted[who.uid] = who
        self._looks.add(who.uid)

    async def run(self) -> None:
        """One looker; run several."""
        while True:
            for uid in await self._looks.take(most=1):
                try:
                    await self._look(self._wanted[uid])
                except KubeError as error:
                    self._metrics.looks.labels("error").inc()
                    pause = self._looks.retry(uid)
                    logger.warning("cannot look for a TaskRun: %s", error, extra={"run": uid, "pause": pause})
                else:
                    self._looks.forget(uid)
                    if not self._looks.is_wanted(uid):
                        self._wanted.pop(uid, None)
                finally:
                    self._looks.done(uid)

    async def _look(self, who: Identity) -> None:
        if not who.name or not who.namespace:
            # The ledger's record is broken by hand; nothing can be looked for under no name.
            self._metrics.looks.labels("unnamed").inc()
            return
        body = await self._api.get(who.namespace, who.name)
        if body is None or identity(metadata_of(body)).uid != who.uid:
            self._metrics.looks.labels("gone").inc()
            self._cache.mark_gone(who.uid)
        else:
            self._metrics.looks.labels("present").inc()
            self._cache.put(body)
        self._queue.add(who.uid)
