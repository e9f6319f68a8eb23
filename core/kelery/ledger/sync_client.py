"""The ledger's calls over a blocking connection; used by the worker. `aio` is its asynchronous sibling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import redis
from redis import exceptions as redis_exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from kelery.errors import LedgerError
from kelery.ledger import redis_errors
from kelery.ledger.commands import Call, Word
from kelery.ledger.library import GUARD_KEY, REVISION, SOURCE

T = TypeVar("T")


def connect(url: str, *, timeout_seconds: float, client_name: str) -> redis.Redis:
    """A client with text answers; one repeat for a connection that the server closed meanwhile."""
    client: redis.Redis = redis.Redis.from_url(
        url,
        protocol=2,
        decode_responses=True,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        socket_keepalive=True,
        client_name=client_name,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis_exceptions.ConnectionError,)),
    )
    return client


class Ledger:
    """Carries calls to Redis; loads the function library when it is missing or older than ours."""

    def __init__(self, client: redis.Redis, *, prefix: str) -> None:
        #: redis-py's own types do not cover raw commands and pipelines.
        self.client: Any = client
        self.prefix = prefix

    def run(self, call: Call[T]) -> T:
        """Make one call; raises LedgerError."""
        words = call.words(self.prefix)
        try:
            return call.parse(self._send(words))
        except redis_errors.LibraryMissing:
            self.load_library()
            return call.parse(self._send(words))

    def run_all(self, calls: Sequence[Call[T]]) -> list[T | LedgerError]:
        """Make many calls in order in one round trip; one that fails does not keep the others from being
        made. Those that miss the library are made again together once it is loaded.

        What is raised is of the server, not of a call: any of them may have been made.
        """
        answers = self._send_all(calls)
        missed = [
            place for place, answer in enumerate(answers) if isinstance(answer, redis_errors.LibraryMissing)
        ]
        if missed:
            self.load_library()
            again = self._send_all([calls[place] for place in missed])
            for place, answer in zip(missed, again, strict=True):
                answers[place] = answer
        return answers

    def load_library(self) -> None:
        """Make sure that the library is at least our revision; never replaces a newer one."""
        try:
            while not self._try_load():
                continue
        except redis_exceptions.RedisError as error:
            raise redis_errors.translate(error) from error

    def _try_load(self) -> bool:
        with self.client.pipeline() as guarded:
            guarded.watch(GUARD_KEY)
            if self._loaded_revision() >= REVISION:
                return True
            guarded.multi()
            guarded.function_load(SOURCE, replace=True)
            guarded.set(GUARD_KEY, REVISION)
            try:
                guarded.execute()
            except redis_exceptions.WatchError:
                return False
            return True

    def _loaded_revision(self) -> int:
        try:
            return int(self.client.execute_command("FCALL_RO", "kelery_v1_revision", 0))
        except redis_exceptions.ResponseError as error:
            if "Function not found" in str(error):
                return 0
            raise

    def _send(self, words: tuple[Word, ...]) -> Any:
        try:
            return self.client.execute_command(*words)
        except redis_exceptions.ReadOnlyError as error:
            # After a failover these connections lead to what is now a replica.
            self.client.connection_pool.disconnect()
            raise redis_errors.translate(error) from error
        except redis_exceptions.RedisError as error:
            raise redis_errors.translate(error) from error

    def _send_all(self, calls: Sequence[Call[T]]) -> list[T | LedgerError]:
        pipeline = self.client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*call.words(self.prefix))
        try:
            replies = pipeline.execute(raise_on_error=False)
        except redis_exceptions.RedisError as error:
            raise redis_errors.translate(error) from error
        return [
            redis_errors.translate(reply)
            if isinstance(reply, redis_exceptions.RedisError)
            else call.parse(reply)
            for call, reply in zip(calls, replies, strict=True)
        ]
