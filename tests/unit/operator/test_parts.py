"""Parts run together, and a part that ends takes the process with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from kelery_operator.runtime.parts import PartEnded, Parts


async def for_ever() -> None:
    await asyncio.Event().wait()


async def ends() -> None:
    await asyncio.sleep(0)


async def fails() -> None:
    raise ValueError("broken")


async def resists(*, cancels: int) -> None:
    """Ends after this number of cancels."""
    for _ in range(cancels - 1):
        try:
            await for_ever()
        except asyncio.CancelledError:
            continue
    await for_ever()


@pytest.mark.parametrize(("part", "error"), [(ends, PartEnded), (fails, ValueError)])
def test_a_part_that_ends_or_fails_ends_all(part: Any, error: type[Exception]) -> None:
    async def play() -> None:
        parts = Parts()
        parts.start("steady", for_ever())
        parts.start("other", part())
        with pytest.raises(error):
            await parts.run_until(asyncio.Event())
        await parts.cancel()

    asyncio.run(play())


@pytest.mark.parametrize("begin", [ends, for_ever])
def test_until_it_is_stopped_a_part_that_may_end_may(begin: Any) -> None:
    async def play() -> None:
        parts, stop = Parts(), asyncio.Event()
        parts.start("steady", for_ever())
        parts.start("start", begin(), may_end=True)
        asyncio.get_running_loop().call_later(0.02, stop.set)
        await parts.run_until(stop)
        await parts.cancel()

    asyncio.run(play())


def test_all_but_one_are_ended_also_one_that_loses_a_cancel() -> None:
    async def started(parts: Parts, **works: Coroutine[Any, Any, None]) -> dict[str, asyncio.Task[Any]]:
        for name, work in works.items():
            parts.start(name, work)
        await asyncio.sleep(0)
        return {task.get_name(): task for task in asyncio.all_tasks()}

    async def play() -> None:
        parts = Parts()
        tasks = await started(parts, lane=for_ever(), events=resists(cancels=2), watch=for_ever())
        await parts.end_all_but("watch")
        assert [tasks[name].done() for name in ("lane", "events", "watch")] == [True, True, False]
        await parts.cancel()
        assert tasks["watch"].done()

    asyncio.run(play())
