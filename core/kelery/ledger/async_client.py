"""The ledger's calls over an asyncio connection; used by operator and gateway. `sync` is its blocking
sibling.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

import redis.asyncio
from redis import exceptions as redis_exceptions
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from kelery.errors import LedgerError
from kelery.ledger import redis_errors
from kelery.ledger.commands import Call, Word
from kelery.ledger.library import GUARD_KEY, REVISION, SOURCE

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
        protocol=2,
        decode_responses=True,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        socket_keepalive=True,
        client_name=client_name,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis_exceptions.ConnectionError,)),
    )
    return redis.asyncio.Redis.from_pool(pool)


class Ledger:
    """Carries calls to Redis; loads the function library when it is missing or older than ours."""

    def __init__(self, client: redis.asyncio.Redis, *, prefix: str) -> None:
        #: redis-py's own types do not cover raw commands and pipelines.
        self.client: Any = client
        self.prefix = prefix

    async def run(self, call: Call[T]) -> T:
        """Make one call; raises LedgerError."""
        words = call.words(self.prefix)
        try:
            return call.parse(await self._send(words))
        except redis_errors.LibraryMissing:
            await self.load_library()
            return call.parse(await self._send(words))
        finally:
            _heed_cancellation()

    async def run_all(self, calls: Sequence[Call[T]]) -> list[T | LedgerError]:
        """Make many calls in order in one round trip; one that fails does not keep the others from being
        made. Those that miss the library are made again together once it is loaded.

        What is raised is of the server, not of a call: any of them may have been made.
        """
        try:
            answers = await self._send_all(calls)
            missed = [
                place
                for place, answer in enumerate(answers)
                if isinstance(answer, redis_errors.LibraryMissing)
            ]
            if missed:
                await self.load_library()
                again = await self._send_all([calls[place] for place in missed])
                for place, answer in zip(missed, again, strict=True):
                    answers[place] = answer
            return answers
        finally:
            _heed_cancellation()

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

    async def load_library(self) -> None:
        """Make sure that the library is at least our revision; never replaces a newer one."""
        try:
            while not await self._try_load():
                continue
        except redis_exceptions.RedisError as error:
            raise redis_errors.translate(error) from error

    async def _try_load(self) -> bool:
        async with self.client.pipeline() as guarded:
            await guarded.watch(GUARD_KEY)
            if await self._loaded_revision() >= REVISION:
                return True
            guarded.multi()
            guarded.function_load(SOURCE, replace=True)
            guarded.set(GUARD_KEY, REVISION)
            try:
                await guarded.execute()
            except redis_exceptions.WatchError:
                return False
            return True

    async def _loaded_revision(self) -> int:
        try:
            return int(await self.client.execute_command("FCALL_RO", "kelery_v1_revision", 0))
        except redis_exceptions.ResponseError as error:
            if "Function not found" in str(error):
                return 0
            raise

    async def _send(self, words: tuple[Word, ...]) -> Any:
        try:
            return await self.client.execute_command(*words)
        except redis_exceptions.ReadOnlyError as error:
            # After a failover these connections lead to what is now a replica.
            await self.client.connection_pool.disconnect()
            raise redis_errors.translate(error) from error
        except redis_exceptions.RedisError as error:
            raise redis_errors.translate(error) from error

    async def _send_all(self, calls: Sequence[Call[T]]) -> list[T | LedgerError]:
        pipeline = self.client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*call.words(self.prefix))
        try:
            replies = await pipeline.execute(raise_on_error=False)
        except redis_exceptions.RedisError as error:
            raise redis_errors.translate(error) from error
        return [
            redis_errors.translate(reply)
            if isinstance(reply, redis_exceptions.RedisError)
            else call.parse(reply)
            for call, reply in zip(calls, replies, strict=True)
        ]


def _heed_cancellation() -> None:
    """redis-py sends within asyncio.wait_for, which in Python 3.11 can swallow a cancellation: a task that
    calls again and again would then never end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
