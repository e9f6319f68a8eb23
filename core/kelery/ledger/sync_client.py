"""The blocking client of the ledger, for the worker."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import redis
from redis import exceptions as redis_exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from kelery.errors import LedgerError
from kelery.ledger.client import LedgerClient, connection_options
from kelery.ledger.commands import Call

T = TypeVar("T")


def connect(url: str, *, timeout_seconds: float, client_name: str) -> redis.Redis:
    """A Redis client with text replies. It retries once if the server has closed an idle connection."""
    client: redis.Redis = redis.Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis_exceptions.ConnectionError,)),
        **connection_options(timeout_seconds=timeout_seconds, client_name=client_name),
    )
    return client


class Ledger:
    """`LedgerClient` without asyncio. See there for the methods."""

    def __init__(self, client: redis.Redis, *, prefix: str) -> None:
        #: `Any`, because redis-py's types do not cover raw commands and pipelines.
        self.client: Any = client
        self.prefix = prefix
        self._steps = LedgerClient(client, prefix=prefix, reply=_at_once)

    def run(self, call: Call[T]) -> T:
        """Make one call. Raises LedgerError."""
        # A coroutine only after an error: otherwise each call would cost 7 % more processor time.
        try:
            reply = self.client.execute_command(*call.words(self.prefix))
        except redis_exceptions.RedisError as error:
            return _result(self._steps.after_error(error, call))
        return call.parse(reply)

    def run_all(self, calls: Sequence[Call[T]]) -> list[T | LedgerError]:
        """Make calls in order, in one round trip. A failed call returns its error."""
        return _result(self._steps.run_all(calls))

    def load_library(self) -> None:
        """Load the library, unless the server has the same or a newer revision."""
        _result(self._steps.load_library())


async def _at_once(reply: Any) -> Any:
    return reply


def _result(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("a call over a blocking connection was suspended")
