"""Queues runs after events of the ledger's stream. After a gap in the stream, queues all known runs, which is
faster than a comparison of ledger and cluster.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kelery.ledger.async_client import Ledger
from kelery.ledger.stream import StreamFollower
from kelery.ledger.types import WrittenEvent
from kelery.run.phases import Phase, Reason
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.actions import Urgency
from kelery_operator.taskrun.queue_positions import QueuePositions
from kelery_operator.taskrun.run_state import Presence, RunStates
from kelery_operator.taskrun.status.coalescer import DELAYS

#: The pause after events that are only about other runs, such as the gateway's. Limits the number of reads.
_OTHERS_SECONDS = 0.01


class LedgerEvents(StreamFollower):
    """One per operator."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        cluster: str,
        states: RunStates,
        queue: WorkQueue[str],
        positions: QueuePositions,
    ) -> None:
        super().__init__(ledger)
        self._cluster = cluster
        self._states = states
        self._queue = queue
        self._positions = positions

    def changed(self, events: Sequence[WrittenEvent]) -> None:
        """Queue the known runs of this cluster, and note the keys that moved."""
        for event in events:
            if event.cluster == self._cluster:
                self._queue_run(event)
            self._positions.moved(event.key)

    def missed(self) -> None:
        """Queue all known runs."""
        for uid in self._states.uids():
            self._queue.add(uid)

    async def gather(self, events: Sequence[WrittenEvent]) -> None:
        """Wait, unless an event is about a run of this cluster."""
        if not any(event.cluster == self._cluster for event in events):
            await asyncio.sleep(_OTHERS_SECONDS)

    def _queue_run(self, event: WrittenEvent) -> None:
        presence = self._states.presence(event.uid)
        if presence is Presence.PRESENT:
            self._queue.add_after(event.uid, delay=_until_worth_a_look(event))
        elif presence is Presence.GONE:
            self._queue.add(event.uid)
        # An unknown run is queued when the watch shows its TaskRun.


def _until_worth_a_look(event: WrittenEvent) -> float:
    """Seconds that a status of this event would wait for a newer one. So only the end of a short run is read.

    Requests of users do not wait: they come through the watch and are queued at once.
    """
    if event.phase.is_final:
        return 0.0
    passing = event.phase is Phase.ADMITTED and event.reason == Reason.WAITING_FOR_WORKER.value
    return DELAYS[Urgency.PASSING if passing else Urgency.PHASE]
