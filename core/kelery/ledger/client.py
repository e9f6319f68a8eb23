"""The code of both clients of the ledger. `async_client` and `sync_client` differ only in `reply`.

redis-py's two clients have the same methods, and those of the asyncio client return awaitables. `reply` turns
a returned value into an awaitable. The blocking client returns replies, so with it a coroutine of this module
never suspends, and `sync_client` runs it in one step. Invariant: this module awaits only `reply`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from redis import exceptions as redis_exceptions

from kelery.errors import LedgerError
from kelery.ledger import redis_errors
from kelery.ledger.commands import Call
from kelery.ledger.library import GUARD_KEY, REVISION, SOURCE

T = TypeVar("T")


def connection_options(*, timeout_seconds: float, client_name: str) -> dict[str, Any]:
    """Connection options of both clients: text replies, and a time limit for each."""
    return {
        "protocol": 2,
        "decode_responses": True,
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "socket_keepalive": True,
        "client_name": client_name,
    }


class LedgerClient:
    """Makes calls. Loads the library when the server has none, or an older one."""

    def __init__(self, client: Any, *, prefix: str, reply: Callable[[Any], Awaitable[Any]]) -> None:
        self.client = client
        self.prefix = prefix
        self._reply = reply

    async def run(self, call: Call[T]) -> T:
        """Make one call. Raises LedgerError."""
        try:
            reply = await self._reply(self.client.execute_command(*call.words(self.prefix)))
        except redis_exceptions.RedisError as error:
            return await self.after_error(error, call)
        return call.parse(reply)

    async def after_error(self, error: redis_exceptions.RedisError, call: Call[T]) -> T:
        """Load the library and repeat the call if it was missing. Raises any other error as LedgerError."""
        if not isinstance(redis_errors.translate(error), redis_errors.LibraryMissing):
            raise await self._failure(error) from error
        await self.load_library()
        try:
            return call.parse(await self._reply(self.client.execute_command(*call.words(self.prefix))))
        except redis_exceptions.RedisError as again:
            raise await self._failure(again) from again

    async def run_all(self, calls: Sequence[Call[T]]) -> list[T | LedgerError]:
        """Make calls in order, in one round trip. A failed call returns its error and does not stop others.
        Calls that fail because the library is missing are repeated after it is loaded.

        Raises LedgerError if the server fails. Then any of the calls may have taken effect.
        """
        answers = await self._send_all(calls)
        missed = [
            place for place, answer in enumerate(answers) if isinstance(answer, redis_errors.LibraryMissing)
        ]
        if missed:
            await self.load_library()
            again = await self._send_all([calls[place] for place in missed])
            for place, answer in zip(missed, again, strict=True):
                answers[place] = answer
        return answers

    async def load_library(self) -> None:
        """Load the library, unless the server has the same or a newer revision."""
        try:
            while not await self._try_load():
                continue
        except redis_exceptions.RedisError as error:
            raise await self._failure(error) from error

    async def _try_load(self) -> bool:
        guarded = self.client.pipeline()
        try:
            await self._reply(guarded.watch(GUARD_KEY))
            if await self._loaded_revision() >= REVISION:
                return True
            guarded.multi()
            guarded.function_load(SOURCE, replace=True)
            guarded.set(GUARD_KEY, REVISION)
            try:
                await self._reply(guarded.execute())
            except redis_exceptions.WatchError:
                return False
            return True
        finally:
            await self._reply(guarded.reset())

    async def _loaded_revision(self) -> int:
        try:
            return int(await self._reply(self.client.execute_command("FCALL_RO", "kelery_v1_revision", 0)))
        except redis_exceptions.ResponseError as error:
            if "Function not found" in str(error):
                return 0
            raise

    async def _send_all(self, calls: Sequence[Call[T]]) -> list[T | LedgerError]:
        pipeline = self.client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*call.words(self.prefix))
        try:
            replies = await self._reply(pipeline.execute(raise_on_error=False))
        except redis_exceptions.RedisError as error:
            raise await self._failure(error) from error
        await self._leave_replica(replies)
        return [
            redis_errors.translate(reply)
            if isinstance(reply, redis_exceptions.RedisError)
            else call.parse(reply)
            for call, reply in zip(calls, replies, strict=True)
        ]

    async def _failure(self, error: redis_exceptions.RedisError) -> LedgerError:
        await self._leave_replica([error])
        return redis_errors.translate(error)

    async def _leave_replica(self, replies: Sequence[Any]) -> None:
        """Drop all connections if a reply shows that they lead to a replica, as after a failover."""
        if any(isinstance(reply, redis_exceptions.ReadOnlyError) for reply in replies):
            await self._reply(self.client.connection_pool.disconnect())
