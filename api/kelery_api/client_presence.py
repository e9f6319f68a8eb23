"""Work that matters only to the client who waits for its answer: it ends when that client leaves.

Else whoever opens long polls and closes them again would leave each behind for its whole time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive

T = TypeVar("T")


async def while_client_waits(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What the work gives; ClientDisconnect, and the work is cancelled, if the client has left before. The
    request's body must have been read, if it matters.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_has_left(request.receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()


async def _has_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
