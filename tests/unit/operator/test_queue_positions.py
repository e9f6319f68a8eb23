"""Whose position is looked at again when a key has moved."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from kelery.errors import LedgerUnavailable
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun import queue_positions
from kelery_operator.taskrun.queue_positions import QueuePositions
from kelery_operator.taskrun.run_state import RunStates
from tests.unit.operator.observations import met


class FirstWaiters:
    """A ledger with one answer for each key that is asked for."""

    def __init__(self, *replies: Any) -> None:
        self.replies = replies
        self.asked = 0

    async def run_all(self, calls: list[Any]) -> list[Any]:
        self.asked += len(calls)
        return list(self.replies[: len(calls)])


def shown(**keys: str) -> RunStates:
    """Runs that were met, and the key in whose queue the position of each is shown."""
    states = met(*keys)
    for uid, key in keys.items():
        state = states.get(uid)
        assert state is not None
        state.position_key = key
    return states


@pytest.mark.parametrize(
    ("reply", "queued"),
    [(["new"], ["a", "b", "new"]), (LedgerUnavailable("away"), ["a", "b"])],
    ids=["first waiters", "no answer"],
)
def test_those_whose_position_is_shown_and_those_in_front_are_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, reply: Any, queued: list[str]
) -> None:
    monkeypatch.setattr(queue_positions, "_SPACING_SECONDS", 0.01)

    async def play() -> None:
        queue, ledger = WorkQueue[str](), FirstWaiters(reply)
        states = shown(a="ns/k", b="ns/k", c="ns/other", d="")
        positions = QueuePositions(cast("Any", ledger), states=states, queue=queue)
        looking = asyncio.create_task(positions.run())
        for key in ("ns/k", "", "ns/k"):
            positions.moved(key)
        await asyncio.sleep(0.1)
        looking.cancel()
        assert sorted(await queue.take()) == queued
        assert ledger.asked == 1

    asyncio.run(play())
