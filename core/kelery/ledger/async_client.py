"""The asyncio client of the ledger, for operator and gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

import redis.asyncio
from redis import exceptions as redis_exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from kelery.errors import LedgerError
from kelery.ledger.client import LedgerClient, connection_options
from kelery.ledger.commands import Call

T = TypeVar("T")
U = TypeVar("U")

#: Further calls wait for a free connection. More connections would not make calls faster.
_CONNECTIONS = 64


def connect(url: str, *, timeout_seconds: float, client_name: str) -> redis.asyncio.Redis:
    """A Redis client with text replies. It retries once if the server has closed an idle connection."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis_exceptions.ConnectionError,)),
        **connection_options(timeout_seconds=timeout_seconds, client_name=client_name),
    )
    return redis.asyncio.Redis.from_pool(pool)


class Ledger(LedgerClient):
    """`LedgerClient` over asyncio, with methods for several calls."""

    def __init__(self, client: redis.asyncio.Redis, *, prefix: str) -> None:
        super().__init__(client, prefix=prefix, reply=_reply)

    async def run_each(self, calls: Sequence[Call[T]]) -> list[T]:
        """Like `run_all`, but raises the first LedgerError, after all calls were made."""
        answers: list[T] = []
        for answer in await self.run_all(calls):
            if isinstance(answer, LedgerError):
                raise answer
            answers.append(answer)
        return answers

    async def run_both(self, first: Call[T], second: Call[U]) -> tuple[T, U]:
        """Like `run_each`, for two calls with different types."""
        calls: list[Call[Any]] = [first, second]
        one, other = await self.run_each(calls)
        return one, other


async def _reply(awaitable: Awaitable[Any]) -> Any:
    """Await, and restore a lost cancellation: redis-py uses asyncio.wait_for, which can swallow it in Python
    3.11. A task that calls in a loop would then never end.
    """
    try:
        return await awaitable
    finally:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
