"""How often the gateway reads the ledger's event stream."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

from kelery.run.phases import Phase
from kelery_api.streams.follower import UNWATCHED_SECONDS, Follower
from tests.support.busy_stream import BusyStream


def busy() -> BusyStream:
    return BusyStream(cluster="c", phase=Phase.SUCCEEDED)


def test_unwatched_changes_are_read_in_batches() -> None:
    async def follow() -> tuple[int, float]:
        ledger = busy()
        began = time.monotonic()
        following = asyncio.create_task(Follower(cast("Any", ledger)).run())
        await asyncio.sleep(0.3)
        following.cancel()
        return ledger.reads, (time.monotonic() - began) / UNWATCHED_SECONDS

    reads, pauses = asyncio.run(follow())
    # One per pause, and one read of the stream's state. Without pauses there would be hundreds.
    assert reads <= 3 * pauses + 2


def test_a_new_watcher_ends_the_pause() -> None:
    async def waits() -> list[float]:
        follower = Follower(cast("Any", busy()))
        following = asyncio.create_task(follower.run())
        clock, found = asyncio.get_running_loop().time, []
        for _ in range(20):
            # At any point of a pause.
            await asyncio.sleep(0.017)
            began = clock()
            with follower.watch("a", only_end=True) as subscription:
                assert await subscription.changed(within=5)
            found.append(clock() - began)
        following.cancel()
        return found

    # Most watchers arrive during a pause. Half of those would otherwise wait at least half of it.
    assert sorted(asyncio.run(waits()))[5] < UNWATCHED_SECONDS * 0.4
