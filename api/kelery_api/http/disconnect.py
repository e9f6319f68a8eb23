"""Work that matters only to the client who waits for its answer: it ends when that client leaves.

Else whoever opens long polls and closes them again would leave each behind for its whole time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

T = TypeVar("T")


async def while_client_waits(request: Request, work: Awaitable[T]) -> T:
    """What the work gives; ClientDisconnect, and the work is cancelled, if the client has left before. The
    request's body must have been read, if it matters.
    """
    waiting = asyncio.current_task()
    assert waiting is not None
    has_left = False

    async def cancel_when_left() -> None:
        nonlocal has_left
        while (await request.receive())["type"] != "http.disconnect":
            continue
        has_left = True
        waiting.cancel()

    leaving = asyncio.create_task(cancel_when_left())
    try:
        # In this task: one of its own would cost more than some of the work does.
        return await work
    except asyncio.CancelledError:
        # Whoever else cancelled goes first.
        if has_left and waiting.cancelling() == 1:
            raise ClientDisconnect from None
        raise
    finally:
        leaving.cancel()
        if has_left:
            # Taken back, also if the work went on in spite of it.
            waiting.uncancel()
