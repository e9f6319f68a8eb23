"""Work for a client is cancelled when the client disconnects, and only then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request

from kelery_api.http.disconnect import while_client_waits


class Client:
    """The client's end of a request."""

    def __init__(self) -> None:
        self._left = asyncio.Event()
        self.request = Request({"type": "http", "headers": []}, self._receive)

    def leave(self) -> None:
        self._left.set()

    async def _receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}


def test_the_result_of_the_work_is_returned() -> None:
    async def check() -> None:
        async def work() -> int:
            await asyncio.sleep(0)
            return 3

        assert await while_client_waits(Client().request, work()) == 3
        assert len(asyncio.all_tasks()) <= 2

    asyncio.run(check())


def test_an_error_of_the_work_is_raised() -> None:
    async def check() -> None:
        async def work() -> None:
            raise KeyError("x")

        with pytest.raises(KeyError):
            await while_client_waits(Client().request, work())

    asyncio.run(check())


def test_the_work_is_cancelled_when_the_client_disconnects() -> None:
    async def check() -> None:
        client, cancelled = Client(), []

        async def work() -> None:
            client.leave()
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        with pytest.raises(ClientDisconnect):
            await while_client_waits(client.request, work())
        assert cancelled == [True]
        # Later work in the same task is not cancelled.
        await asyncio.sleep(0.01)

    asyncio.run(check())


def test_work_that_ignores_the_cancellation_leaves_none_behind() -> None:
    async def check() -> None:
        client = Client()

        async def work() -> int:
            client.leave()
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                return 3
            return 4

        assert await while_client_waits(client.request, work()) == 3
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    asyncio.run(check())


def test_another_cancellation_takes_precedence() -> None:
    async def check() -> None:
        client = Client()
        waiting = asyncio.create_task(while_client_waits(client.request, asyncio.sleep(10)))
        await asyncio.sleep(0.01)
        client.leave()
        waiting.cancel()
        await asyncio.wait([waiting], timeout=1)
        assert waiting.cancelled()

    asyncio.run(check())


def test_a_cancellation_during_the_wait_stays_a_cancellation() -> None:
    async def check() -> None:
        waiting = asyncio.create_task(while_client_waits(Client().request, asyncio.sleep(10)))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.wait([waiting], timeout=1)
        assert waiting.cancelled()

    asyncio.run(check())
