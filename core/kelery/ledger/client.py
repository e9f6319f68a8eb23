"""What both clients of the ledger do, written once: `async_client` and `sync_client` differ only in `reply`.

redis-py's two clients have the same methods; those of the asyncio one return awaitables. `reply` turns what a
method returned into an awaitable. The blocking client's replies are there already, so with it a coroutine of
this module never suspends: `sync_client` runs it to its end in one step. Invariant: nothing but `reply` is
awaited here.
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
    """How both clients connect: text answers, and a time limit for every one of them."""
    return {
        "protocol": 2,
        "decode_responses": True,
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "socket_keepalive": True,
        "client_name": client_name,
    }


class LedgerClient:
    """Makes calls; loads the function library when it is missing or older than ours."""

    def __init__(self, client: Any, *, prefix: str, reply: Callable[[Any], Awaitable[Any]]) -> None:
        self.client = client
        self.prefix = prefix
        self._reply = reply

    async def run(self, call: Call[T]) -> T:
        """Make one call; raises LedgerError."""
        try:
            reply = await self._reply(self.client.execute_command(*call.words(self.prefix)))
        except redis_exceptions.RedisError as error:
            return await self.after_error(error, call)
        return call.parse(reply)

    async def after_error(self, error: redis_exceptions.RedisError, call: Call[T]) -> T:
        """Make a call again that missed the library; of any other error, raises the LedgerError."""
        if not isinstance(redis_errors.translate(error), redis_errors.LibraryMissing):
            raise await self._failure(error) from error
        await self.load_library()
        try:
            return call.parse(await self._reply(self.client.execute_command(*call.words(self.prefix))))
        except redis_exceptions.RedisError as again:
            raise await self._failure(again) from again

    async def run_all(self, calls: Sequence[Call[T]]) -> list[T | LedgerError]:
        """Make many calls in order in one round trip; one that fails does not keep the others from being
        made. Those that miss the library are made again together once it is loaded.

        What is raised is of the server, not of a call: any of them may have been made.
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
        """Make sure that the library is at least our revision; never replaces a newer one."""
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
        """After a failover the connections lead to what is now a replica: drop them if a reply says so."""
        if any(isinstance(reply, redis_exceptions.ReadOnlyError) for reply in replies):
            await self._reply(self.client.connection_pool.disconnect())
