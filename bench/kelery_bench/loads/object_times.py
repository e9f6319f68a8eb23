"""The time of objects from their creation request until a watcher sees their end.

Requests are bytes before the clock starts. The clock is the client's own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import uvloop

from kelery.kube.sync_session import SyncSession
from kelery_bench.clients.api_client import Connection, Prepared, connected, connections
from kelery_bench.clients.watched_ends import Ends
from kelery_dev.errors import DevError

Found = TypeVar("Found")

_CONNECTIONS = 8
#: Longer than any measurement, unless it hangs.
_PATIENCE_SECONDS = 120.0


async def one_by_one(
    access: SyncSession, creations: Mapping[str, Prepared], *, watched: AbstractAsyncContextManager[Ends]
) -> list[float]:
    """The seconds of each object; each is created after the end of the one before it was seen."""
    times = []
    async with connected(access) as api, watched as ends:
        for name, request in creations.items():
            began = time.perf_counter()
            await api.send(request)
            times.append(await ends.moment(name) - began)
    return times


async def rate_of(
    access: SyncSession,
    requests: Mapping[str, Sequence[Prepared]],
    *,
    watched: AbstractAsyncContextManager[Ends],
) -> float:
    """Objects per second, from the first request until the last end was seen; sent as fast as possible."""

    async def send(api: Connection, own: Sequence[Sequence[Prepared]]) -> None:
        for steps in own:
            for request in steps:
                await api.send(request)

    steps = list(requests.values())
    async with connections(access, count=_CONNECTIONS) as apis, watched as ends:
        began = time.perf_counter()
        shares = [steps[number::_CONNECTIONS] for number in range(_CONNECTIONS)]
        await asyncio.gather(*(send(api, own) for api, own in zip(apis, shares, strict=True)))
        last = max([await ends.moment(name) for name in requests])
    return len(requests) / (last - began)


def run_measure(measure: Coroutine[Any, Any, Found], *, seconds: float = _PATIENCE_SECONDS) -> Found:
    """Run a measurement on its own event loop; DevError if it hangs."""

    async def bounded() -> Found:
        # Not `wait_for`: in Python 3.11 that can lose a Ctrl-C.
        async with asyncio.timeout(seconds):
            return await measure

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(bounded())
        except TimeoutError as error:
            raise DevError(f"a measurement did not end within {seconds:g} s") from error
