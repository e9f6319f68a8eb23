"""A client of the API server that costs little beside what it measures.

One connection carries one request at a time and stays open. Requests are bytes, prepared before the clock
runs; answers are not parsed unless asked for. A heavier client would hide differences behind its own time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import urllib.parse
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from kelery_dev.control_plane.cluster_access import ClusterAccess
from kelery_dev.errors import DevError

# Of a list of thousands of objects, a line of a watch, or a head.
_LIMIT = 64 * 2**20
_CLOSE_SECONDS = 5.0
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request as bytes. Any answer of another status than `status` is an error."""

    content: bytes
    status: int
    what: str


def prepare(
    access: ClusterAccess,
    method: str,
    path: str,
    *,
    status: int,
    body: object = None,
    content_type: str = "application/json",
) -> Prepared:
    """The request with the access's credentials in it."""
    content = b"" if body is None else json.dumps(body).encode()
    where = urllib.parse.urlsplit(access.server)
    # Some API servers are behind a gateway that knows them by a path.
    lines = [f"{method} {where.path.rstrip('/')}{path} HTTP/1.1", f"Host: {where.netloc}"]
    lines += ["Accept: application/json", f"Content-Type: {content_type}", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in access.headers.items()]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return Prepared(content=head + content, status=status, what=f"{method} {path}")


class Connection:
    """One connection, kept open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, request: Prepared) -> bytes:
        """The answer's body."""
        try:
            return await self._answer(request)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise DevError(
                f"{request.what}: the API server closed the connection ({type(error).__name__})"
            ) from error

    async def _answer(self, request: Prepared) -> bytes:
        self._writer.write(request.content)
        status, headers = await self._head()
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            async for chunk in self._chunks():
                body += chunk
        else:
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        if status != request.status:
            raise DevError(f"{request.what}: {status} {body[:500].decode(errors='replace')}")
        return body

    async def lines(self, request: Prepared) -> AsyncIterator[bytes]:
        """The answer's lines as they come, such as the events of a watch."""
        self._writer.write(request.content)
        status, _ = await self._head()
        if status != request.status:
            raise DevError(f"{request.what}: {status}")
        rest = b""
        async for chunk in self._chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield line

    async def _head(self) -> tuple[int, dict[str, str]]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return int(first.split(" ", 2)[1]), {name.lower(): value.strip() for name, _, value in pairs}

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readuntil(b"\r\n")


@contextlib.asynccontextmanager
async def connected(access: ClusterAccess) -> AsyncIterator[Connection]:
    """A connection of its own, used once so that its first request pays for nothing."""
    where = urllib.parse.urlsplit(access.server)
    try:
        reader, writer = await asyncio.open_connection(
            where.hostname,
            where.port or _PORTS[where.scheme],
            ssl=access.trust if where.scheme == "https" else None,
            limit=_LIMIT,
        )
    except OSError as error:
        raise DevError(
            f"cannot connect to the API server at {access.server}, which the benchmark does directly and"
            f" not through a proxy: {error}"
        ) from error
    try:
        connection = Connection(reader, writer)
        await connection.send(prepare(access, "GET", "/version", status=200))
        yield connection
    finally:
        # Without TLS's good-bye: it would wait for the other side, which may be in the middle of an event.
        writer.transport.abort()
        with contextlib.suppress(OSError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def connections(access: ClusterAccess, *, count: int) -> AsyncIterator[list[Connection]]:
    """Several at once."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connected(access)) for _ in range(count)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An event of a watch, and when its line was there."""

    moment: float
    kind: str
    body: dict[str, Any]


@contextlib.asynccontextmanager
async def watching(
    access: ClusterAccess, collection: str, *, selector: str = ""
) -> AsyncIterator[AsyncIterator[Seen]]:
    """What happens to a collection, or to its objects with a label, from now on.

    A watch that the server ends, or whose connection breaks, is taken up where it stopped: no event is lost,
    and none comes twice.
    """
    chosen = f"&labelSelector={urllib.parse.quote(selector)}" if selector else ""
    async with connected(access) as connection:
        listed = await connection.send(prepare(access, "GET", f"{collection}?limit=1{chosen}", status=200))
        version = json.loads(listed)["metadata"]["resourceVersion"]
        # Bookmarks keep the version young enough to be taken up, also where nothing happens.
        path = f"{collection}?watch=true&allowWatchBookmarks=true{chosen}"
        yield _events(access, connection, path, version)


async def _events(
    access: ClusterAccess, connection: Connection, path: str, version: str
) -> AsyncIterator[Seen]:
    async with contextlib.AsyncExitStack() as further:
        while True:
            try:
                request = prepare(access, "GET", f"{path}&resourceVersion={version}", status=200)
                async for line in connection.lines(request):
                    moment = time.perf_counter()
                    event = json.loads(line)
                    kind, body = event["type"], event["object"]
                    if kind == "ERROR":
                        raise DevError(f"the watch {path} failed: {body.get('message')}")
                    version = body["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK":
                        yield Seen(moment=moment, kind=kind, body=body)
            except (OSError, asyncio.IncompleteReadError):
                connection = await further.enter_async_context(connected(access))
