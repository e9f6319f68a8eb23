"""Follows the ledger's stream of changes into the work queue. The stream is a hint: after any failure
everything is looked at again, from an event id that was read before that look.
"""

from __future__ import annotations

import asyncio
import logging

from kelery.errors import LedgerError
from kelery.ledger import commands
from kelery.ledger.async_client import Ledger
from kelery.ledger.types import WrittenEvent
from kelery.run.phases import Phase, Reason
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.actions import Urgency
from kelery_operator.taskrun.queue_positions import QueuePositions
from kelery_operator.taskrun.run_state import Presence, RunStates
from kelery_operator.taskrun.status.coalescer import DELAYS

logger = logging.getLogger(__name__)

_BLOCK_SECONDS = 2.0
_PAUSE_SECONDS = 0.5
#: After changes of others' runs only, such as the gateway's: they may be many, and each read costs.
_OTHERS_SECONDS = 0.01


class LedgerEvents:
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
        self._ledger = ledger
        self._cluster = cluster
        self._states = states
        self._queue = queue
        self._positions = positions
        self._cursor: str | None = None

    async def begin(self) -> None:
        """Remember where the stream stands; call it before the first look at anything."""
        try:
            self._cursor = await self._ledger.run(commands.last_event_id())
        except LedgerError:
            self._cursor = None

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            try:
                if self._cursor is None:
                    self._cursor = await self._ledger.run(commands.last_event_id())
                    self._look_at_everything()
                await self._follow(self._cursor)
            except LedgerError:
                self._cursor = None
                await asyncio.sleep(_PAUSE_SECONDS)
            except Exception:
                # An entry that cannot be read: go on behind it.
                logger.exception("an event of the ledger cannot be read")
                self._cursor = None
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _follow(self, cursor: str) -> None:
        events = await self._ledger.run(commands.events_after(cursor, block_seconds=_BLOCK_SECONDS))
        for event in events:
            if event.cluster == self._cluster:
                self._heard(event)
            self._positions.moved(event.key)
            self._cursor = event.id
        if events and not any(event.cluster == self._cluster for event in events):
            await asyncio.sleep(_OTHERS_SECONDS)

    def _heard(self, event: WrittenEvent) -> None:
        presence = self._states.presence(event.uid)
        if presence is Presence.PRESENT:
            self._queue.add_after(event.uid, delay=_until_worth_a_look(event))
        elif presence is Presence.GONE:
            self._queue.add(event.uid)
        # One that is not known yet is looked at when its TaskRun shows up.

    def _look_at_everything(self) -> None:
        for uid in self._states.uids():
            self._queue.add(uid)


def _until_worth_a_look(event: WrittenEvent) -> float:
    """As long as a status of it would wait for a newer one: of a short run only the end is looked at.

    Nothing else waits: what a user asks for comes through the watch, which is looked at once.
    """
    if event.phase.is_final:
        return 0.0
    passing = event.phase is Phase.ADMITTED and event.reason == Reason.WAITING_FOR_WORKER.value
    return DELAYS[Urgency.PASSING if passing else Urgency.PHASE]
