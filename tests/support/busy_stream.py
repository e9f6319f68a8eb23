"""A ledger whose stream has a new change of run "a" at each read. It counts the reads."""

from __future__ import annotations

import asyncio
from typing import Any

from kelery.ledger.types import WrittenEvent
from kelery.run.phases import Phase


class BusyStream:
    """A fake ledger for readers of its stream."""

    def __init__(self, *, cluster: str, phase: Phase) -> None:
        self._cluster, self._phase = cluster, phase
        self.reads = 0

    async def run(self, _: object) -> Any:
        await asyncio.sleep(0)
        self.reads += 1
        if self.reads == 1:
            return "0-0"
        event = f"{self.reads}-0"
        return [
            WrittenEvent(
                id=event, uid="a", rev=1, phase=self._phase, reason="", cluster=self._cluster, key=""
            )
        ]
