"""The ledger over an asyncio connection; used by operator and gateway."""

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

#: Calls beyond these wait for one of them; more connections would make none of them faster.
_CONNECTIONS = 64


def connect(url: str, *, timeout_seconds: float, client_name: str) -> redis.asyncio.Redis:
    """A client with text answers; one repeat for a connection that the server closed meanwhile."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS,
        timeout=timeout_seconds,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis_exceptions.ConnectionError,)),
        **connection_options(timeout_seconds=timeout_seconds, client_name=client_name),
    )
    return redis.asyncio.Redis.from_pool(pool)


class Ledger(LedgerClient):
    """`LedgerClient` over asyncio, with calls for several answers."""

    def __init__(self, client: redis.asyncio.Redis, *, prefix: str) -> None:
        super().__init__(client, prefix=prefix, reply=_reply)

    async def run_each(self, calls: Sequence[Call[T]]) -> list[T]:
        """Like `run_all`; raises the first LedgerError, after all were made."""
        answers: list[T] = []
        for answer in await self.run_all(calls):
            if isinstance(answer, LedgerError):
                raise answer
            answers.append(answer)
        return answers

    async def run_both(self, first: Call[T], second: Call[U]) -> tuple[T, U]:
        """Two calls of different answers, as `run_each` makes them."""
        calls: list[Call[Any]] = [first, second]
        one, other = await self.run_each(calls)
        return one, other


async def _reply(awaitable: Awaitable[Any]) -> Any:
    """redis-py sends within asyncio.wait_for, which in Python 3.11 can swallow a cancellation: a task that
    calls again and again would then never end.
    """
    try:
        return await awaitable
    finally:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
