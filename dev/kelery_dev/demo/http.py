"""HTTP for the demo: single requests to the gateway, and the event stream of a run.

The screen shows `curl` commands; they are sent from here, so the demo does not need curl.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import aiohttp

from kelery_dev.errors import DevError

_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The gateway's response; `body` is None if it is empty."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One server-sent event."""

    name: str
    id: int
    data: Any


class HttpDoor:
    """A client of the gateway, for `async with`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS))

    async def ask(self, method: str, path: str, *, body: bytes | None = None) -> Answer:
        """One request, with a JSON body if one is given; DevError if the gateway does not answer."""
        try:
            async with self._session.request(
                method,
                f"{self._url}{path}",
                data=body,
                headers={"Content-Type": "application/json"} if body else {},
            ) as answer:
                text = await answer.text()
                return Answer(status=answer.status, body=json.loads(text) if text else None)
        except (OSError, aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise DevError(f"the gateway did not answer {method} {path}: {_in_words(error)}") from error

    async def events(self, path: str) -> AsyncGenerator[Event, None]:
        """The events of a run until the stream ends; DevError if it breaks."""
        try:
            async with self._session.get(f"{self._url}{path}") as answer:
                fields: dict[str, str] = {}
                async for line in answer.content:
                    name, _, value = line.decode().rstrip("\n").partition(": ")
                    fields[name] = value
                    if not name and "event" in fields:
                        yield Event(
                            name=fields["event"], id=int(fields["id"]), data=json.loads(fields["data"])
                        )
                        fields = {}
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            raise DevError(f"the stream {path} broke: {_in_words(error)}") from error

    async def __aenter__(self) -> "HttpDoor":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        # Its sockets close in the next iterations of the loop.
        await asyncio.sleep(0)


def _in_words(error: BaseException) -> str:
    return str(error) or type(error).__name__
