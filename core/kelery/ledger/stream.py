"""Follows the ledger's event stream with blocking reads, for the operator and the gateway.

An event is a hint; the record is the truth. Invariant: after each change, `changed` is called with it, or
`missed` is called, no matter what happens to the connection, the server or the stream.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence

from kelery.errors import LedgerError
from kelery.ledger import commands
from kelery.ledger.async_client import Ledger
from kelery.ledger.types import WrittenEvent

logger = logging.getLogger("kelery.ledger")

#: How long one read blocks. The time limit of the ledger's connection must be longer.
_BLOCK_SECONDS = 1.0
#: A read with this number of events may have left more behind.
_READ_AT_ONCE = 500
#: The pause after a failure.
_PAUSE_SECONDS = 0.25
#: The position in an empty stream.
_EMPTY = "0-0"
#: The interval between checks for gaps while changes arrive, because a check delays the next read.
_CHECK_SECONDS = 0.5


class StreamFollower(ABC):
    """One per process. A subclass handles the changes."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._first_position: str | None = None
        #: False while the stream cannot be read.
        self.is_following = False

    @abstractmethod
    def changed(self, events: Sequence[WrittenEvent]) -> None:
        """Handle the next changes, in order."""

    @abstractmethod
    def missed(self) -> None:
        """Handle a gap: changes of any runs may be lost."""

    @abstractmethod
    async def gather(self, events: Sequence[WrittenEvent]) -> None:
        """Wait before the next read, so that it returns more changes at once. `events` are the last ones."""

    async def begin(self) -> None:
        """Remember the end of the stream, before the caller reads all runs. `run` continues from there."""
        try:
            self._first_position = await self._ledger.run(commands.last_event_id())
        except LedgerError:
            self._first_position = None

    async def run(self) -> None:
        """Follow the stream forever. Without `begin`, and after each failure, start at its end."""
        while True:
            try:
                await self._follow()
            except LedgerError as error:
                if self.is_following:
                    logger.warning("cannot follow the ledger's event stream; retrying: %s", error)
            except Exception:
                # The next attempt starts after this event.
                logger.exception("cannot read an event of the ledger; checking all runs")
            self.is_following = False
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _follow(self) -> None:
        clock = asyncio.get_running_loop().time
        position, self._first_position = self._first_position, None
        if position is None:
            # After an outage too: a server that crashed may have lost entries that were read before.
            position = await self._ledger.run(commands.last_event_id())
            self.missed()
        self.is_following = True
        # No change before `checked` was missed.
        checked, check_at = position, clock()
        while True:
            events = await self._ledger.run(
                commands.events_after(position, block_seconds=_BLOCK_SECONDS, count=_READ_AT_ONCE)
            )
            if events:
                self.changed(events)
                if checked == _EMPTY:
                    checked = events[0].id
                end = position = events[-1].id
                if len(events) < _READ_AT_ONCE:
                    await self.gather(events)
                if clock() < check_at:
                    continue
            else:
                end = await self._ledger.run(commands.last_event_id())
                if end != position and (position == _EMPTY or await self._is_there(position)):
                    # It was written just now: the next read returns it.
                    continue
            if end != position or not await self._is_whole(checked, position):
                logger.info("the ledger's event stream has a gap; checking all runs")
                self.missed()
            checked = position = end
            check_at = clock() + _CHECK_SECONDS

    async def _is_whole(self, first: str, last: str) -> bool:
        """Whether no entry between two positions was trimmed."""
        return first == last or await self._is_there(first)

    async def _is_there(self, event_id: str) -> bool:
        return await self._ledger.run(commands.has_event(event_id))
