"""Cancels work when the client that waits for it disconnects.

Otherwise, a client that opens and closes long polls would leave each one running for its full time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import ClientDisconnect, Request

T = TypeVar("T")


async def while_client_waits(request: Request, work: Awaitable[T]) -> T:
    """The result of the work. If the client disconnects first, cancels it and raises ClientDisconnect.

    Read the request's body before, if you need it.
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
        # In this task, because a task of its own can cost more than the work.
        return await work
    except asyncio.CancelledError:
        # Any other cancellation takes precedence.
        if has_left and waiting.cancelling() == 1:
            raise ClientDisconnect from None
        raise
    finally:
        leaving.cancel()
        if has_left:
            # Also if the work ignored the cancellation.
            waiting.uncancel()
