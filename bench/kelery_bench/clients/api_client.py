"""A client of the API server whose cost is small against what it measures.

It uses the core's credentials: the same login, trust and proxies as the core's sessions. One connection
carries one request at a time and stays open. Requests are bytes, prepared before the clock starts; responses
are parsed only on demand. The core's session costs several times as much for each request, which would hide
differences.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import json
import time
import urllib.parse
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from kelery.kube.credentials import Credentials
from kelery.kube.login import Login, off_loop
from kelery.kube.sync_session import SyncSession
from kelery_dev.errors import DevError

# Of a list of thousands of objects, a line of a watch, or a head.
_LIMIT = 64 * 2**20
_CLOSE_SECONDS = 5.0
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request as bytes, without credentials. A response with another status than `status` is an error."""

    head: bytes
    content: bytes
    status: int
    what: str


def prepare(
    server: str,
    method: str,
    path: str,
    *,
    status: int,
    body: object = None,
    content_type: str = "application/json",
) -> Prepared:
    """The request to the server of this URL; a connection adds the credentials."""
    content = b"" if body is None else json.dumps(body).encode()
    where = urllib.parse.urlsplit(server)
    # Some API servers are behind a gateway that selects them by path.
    lines = [f"{method} {where.path.rstrip('/')}{path} HTTP/1.1", f"Host: {where.netloc}"]
    lines += ["Accept: application/json", f"Content-Type: {content_type}", f"Content-Length: {len(content)}"]
    head = "".join(f"{line}\r\n" for line in lines).encode()
    return Prepared(head=head, content=content, status=status, what=f"{method} {path}")


class Connection:
    """One connection, kept open, with the credentials of `login` if given."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, login: Login | None = None
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._login = login
        #: The login's credentials and their headers.
        self._sender: tuple[Credentials | None, bytes] = (None, b"\r\n")

    async def send(self, request: Prepared) -> bytes:
        """Send a request; returns the response's body."""
        try:
            return await self._answer(request)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise DevError(
                f"{request.what}: the API server closed the connection ({type(error).__name__})"
            ) from error

    async def _answer(self, request: Prepared) -> bytes:
        await self._write(request)
        status, body = await self._read()
        if status == 401 and await self._has_renewed():
            await self._write(request)
            status, body = await self._read()
        if status != request.status:
            raise DevError(f"{request.what}: {status} {body[:500].decode(errors='replace')}")
        return body

    async def lines(self, request: Prepared) -> AsyncIterator[bytes]:
        """The lines of a response when they arrive, such as the events of a watch."""
        await self._write(request)
        status, headers = await self._head()
        if status == 401:
            await self._body(headers)
            if await self._has_renewed():
                await self._write(request)
                status, _ = await self._head()
        if status != request.status:
            raise DevError(f"{request.what}: {status}")
        rest = b""
        async for chunk in self._chunks():
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                yield line

    async def _write(self, request: Prepared) -> None:
        if self._login is not None:
            fresh = self._login.fresh()
            if fresh is None:
                fresh = await off_loop(self._login.credentials)
            if fresh is not self._sender[0]:
                self._note(fresh)
        self._writer.write(b"".join((request.head, self._sender[1], request.content)))

    async def _has_renewed(self) -> bool:
        """Whether renewing gave other credentials than the rejected ones."""
        refused = self._sender[0]
        if self._login is None or refused is None:
            return False
        self._note(await off_loop(functools.partial(self._login.renew, refused=refused)))
        return self._sender[0] is not refused

    def _note(self, credentials: Credentials) -> None:
        lines = (f"{name}: {value}\r\n" for name, value in credentials.headers().items())
        self._sender = credentials, "".join([*lines, "\r\n"]).encode()

    async def _read(self) -> tuple[int, bytes]:
        status, headers = await self._head()
        return status, await self._body(headers)

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            return b"".join([chunk async for chunk in self._chunks()])
        return await self._reader.readexactly(int(headers.get("content-length", 0)))

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
async def connected(access: SyncSession) -> AsyncIterator[Connection]:
    """A new connection, used once so that the first measured request has no extra cost."""
    credentials = await off_loop(access.login.credentials)
    try:
        reader, writer = await _open(credentials)
    except (OSError, asyncio.IncompleteReadError) as error:
        raise DevError(f"cannot connect to the API server at {access.server}: {error}") from error
    try:
        connection = Connection(reader, writer, login=access.login)
        await connection.send(prepare(access.server, "GET", "/version", status=200))
        yield connection
    finally:
        # Without a TLS shutdown: it would wait for the server, which may be sending an event.
        writer.transport.abort()
        with contextlib.suppress(OSError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await writer.wait_closed()


async def _open(credentials: Credentials) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    where = urllib.parse.urlsplit(credentials.server)
    host, port = where.hostname or "", where.port or _PORTS[where.scheme]
    trust = credentials.trust() if where.scheme == "https" else None
    if not credentials.proxy_url:
        return await asyncio.open_connection(host, port, ssl=trust, limit=_LIMIT)
    proxy = urllib.parse.urlsplit(credentials.proxy_url)
    reader, writer = await asyncio.open_connection(
        proxy.hostname, proxy.port or _PORTS[proxy.scheme], limit=_LIMIT
    )
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.username:
        pair = f"{urllib.parse.unquote(proxy.username)}:{urllib.parse.unquote(proxy.password or '')}"
        lines += [f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}"]
    try:
        writer.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        said = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n", 1)[0]
        if said.split(" ", 2)[1:2] != ["200"]:
            raise OSError(f"the proxy returned {said}")
        if trust is not None:
            await writer.start_tls(trust, server_hostname=host)
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer


@contextlib.asynccontextmanager
async def connections(access: SyncSession, *, count: int) -> AsyncIterator[list[Connection]]:
    """Several connections."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connected(access)) for _ in range(count)]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """An event of a watch, and the time when its line arrived."""

    moment: float
    kind: str
    body: dict[str, Any]


@contextlib.asynccontextmanager
async def watching(
    access: SyncSession, collection: str, *, selector: str = ""
) -> AsyncIterator[AsyncIterator[WatchEvent]]:
    """The changes of a collection, or of its objects with a label, from now on.

    A watch that ends or breaks continues where it stopped: no event is lost, and none is repeated.
    """
    chosen = f"&labelSelector={urllib.parse.quote(selector)}" if selector else ""
    async with connected(access) as connection:
        look = prepare(access.server, "GET", f"{collection}?limit=1{chosen}", status=200)
        listed = await connection.send(look)
        version = json.loads(listed)["metadata"]["resourceVersion"]
        # Bookmarks keep the version recent enough to continue, also without changes.
        path = f"{collection}?watch=true&allowWatchBookmarks=true{chosen}"
        yield _events(access, connection, path, version)


async def _events(
    access: SyncSession, connection: Connection, path: str, version: str
) -> AsyncIterator[WatchEvent]:
    async with contextlib.AsyncExitStack() as further:
        while True:
            try:
                request = prepare(access.server, "GET", f"{path}&resourceVersion={version}", status=200)
                async for line in connection.lines(request):
                    moment = time.perf_counter()
                    event = json.loads(line)
                    kind, body = event["type"], event["object"]
                    if kind == "ERROR":
                        raise DevError(f"the watch {path} failed: {body.get('message')}")
                    version = body["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK":
                        yield WatchEvent(moment=moment, kind=kind, body=body)
            except (OSError, asyncio.IncompleteReadError):
                connection = await further.enter_async_context(connected(access))
