"""Follows the ledger's stream of changes with blocking reads, for the operator and the gateway.

The stream is a hint, the record is the truth. Invariant: after a change was written, `changed` is called with
it, or `missed`, whatever happens to the connection, the server or the stream.
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

#: How long one read waits at the server; the time limit of the ledger's connection must be longer.
_BLOCK_SECONDS = 1.0
#: A read that brings so many leaves more behind.
_READ_AT_ONCE = 500
#: After a failure.
_PAUSE_SECONDS = 0.25
#: The position in a stream that has no entry yet.
_EMPTY = "0-0"
#: Between two checks while changes come: whoever waits for a change also waits for the check.
_CHECK_SECONDS = 0.5


class StreamFollower(ABC):
    """One per process; a subclass says what follows from a change."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._first_position: str | None = None
        #: False while the stream cannot be read.
        self.is_following = False

    @abstractmethod
    def changed(self, events: Sequence[WrittenEvent]) -> None:
        """The next changes, in their order."""

    @abstractmethod
    def missed(self) -> None:
        """Any number of changes may be lost, of any run: look at everything."""

    @abstractmethod
    async def gather(self, events: Sequence[WrittenEvent]) -> None:
        """Wait for as long as may pass before the next read: the longer, the more changes it brings. These
        are the last ones.
        """

    async def begin(self) -> None:
        """Remember where the stream ends, before a first look at everything: `run` goes on from there."""
        try:
            self._first_position = await self._ledger.run(commands.last_event_id())
        except LedgerError:
            self._first_position = None

    async def run(self) -> None:
        """Follow for ever; without `begin`, and after each failure, from the end of the stream."""
        while True:
            try:
                await self._follow()
            except LedgerError as error:
                if self.is_following:
                    logger.warning("the ledger's stream is not followed: %s", error)
            except Exception:
                # The next attempt starts after it.
                logger.exception("an event of the ledger cannot be read")
            self.is_following = False
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _follow(self) -> None:
        clock = asyncio.get_running_loop().time
        position, self._first_position = self._first_position, None
        if position is None:
            # Also after an outage, from the end: a server that crashed may have lost what was read before.
            position = await self._ledger.run(commands.last_event_id())
            self.missed()
        self.is_following = True
        # No change up to `checked` was missed.
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
                    # It was written just now: the next read brings it.
                    continue
            if end != position or not await self._is_whole(checked, position):
                logger.info("changes are missing in the ledger's stream; looking at everything")
                self.missed()
            checked = position = end
            check_at = clock() + _CHECK_SECONDS

    async def _is_whole(self, first: str, last: str) -> bool:
        """Whether nothing between two positions was trimmed away."""
        return first == last or await self._is_there(first)

    async def _is_there(self, event_id: str) -> bool:
        return await self._ledger.run(commands.has_event(event_id))
