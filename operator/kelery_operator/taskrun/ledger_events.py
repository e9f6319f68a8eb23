"""Queues the runs that the ledger's stream names, each when it is worth it. After a gap in the stream
it queues all known runs: what is known of them and the ledger show what a comparison would show, and sooner.
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

#: After changes of others' runs only, such as the gateway's: they may be many, and each read costs.
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
        """Queue the runs of this cluster that are known; note which keys have moved."""
        for event in events:
            if event.cluster == self._cluster:
                self._queue_run(event)
            self._positions.moved(event.key)

    def missed(self) -> None:
        """Queue all that is known."""
        for uid in self._states.uids():
            self._queue.add(uid)

    async def gather(self, events: Sequence[WrittenEvent]) -> None:
        """Not after changes of this cluster's runs."""
        if not any(event.cluster == self._cluster for event in events):
            await asyncio.sleep(_OTHERS_SECONDS)

    def _queue_run(self, event: WrittenEvent) -> None:
        presence = self._states.presence(event.uid)
        if presence is Presence.PRESENT:
            self._queue.add_after(event.uid, delay=_until_worth_a_look(event))
        elif presence is Presence.GONE:
            self._queue.add(event.uid)
        # One that is not known yet is looked at when its TaskRun shows up.


def _until_worth_a_look(event: WrittenEvent) -> float:
    """As long as a status of it would wait for a newer one: of a short run only the end is looked at.

    Nothing else waits: what a user asks for comes through the watch, which is looked at once.
    """
    if event.phase.is_final:
        return 0.0
    passing = event.phase is Phase.ADMITTED and event.reason == Reason.WAITING_FOR_WORKER.value
    return DELAYS[Urgency.PASSING if passing else Urgency.PHASE]
