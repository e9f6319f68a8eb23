"""One request to the gateway, sent repeatedly over open connections."""

from __future__ import annotations

import asyncio
import contextlib
import time
import urllib.parse
from collections.abc import AsyncIterator
from dataclasses import dataclass

from kelery_bench.clients.api_client import Connection, Prepared, prepare
from kelery_dev.errors import DevError


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLoad:
    """The gateway, the request, and the text that every response must contain."""

    url: str
    path: str
    body: object
    status: int
    contains: bytes

    async def latencies(self, *, count: int) -> list[float]:
        """The seconds of each of `count` requests, one after the other."""
        request = self._prepared()
        async with self._connections(1) as [connection]:
            return [await self._send(connection, request) for _ in range(count)]

    async def throughput(self, *, count: int, connections: int) -> float:
        """Responses per second over several connections at once, `count` in total."""
        request, each = self._prepared(), count // connections

        async def some(connection: Connection) -> None:
            for _ in range(each):
                await self._send(connection, request)

        async with self._connections(connections) as opened:
            await asyncio.gather(*(self._send(connection, request) for connection in opened))
            began = time.perf_counter()
            await asyncio.gather(*(some(connection) for connection in opened))
            return each * connections / (time.perf_counter() - began)

    def _prepared(self) -> Prepared:
        return prepare(self.url, "POST", self.path, status=self.status, body=self.body)

    async def _send(self, connection: Connection, request: Prepared) -> float:
        began = time.perf_counter()
        answer = await connection.send(request)
        took = time.perf_counter() - began
        if self.contains not in answer:
            raise DevError(f"{request.what}: {answer[:500].decode(errors='replace')}")
        return took

    @contextlib.asynccontextmanager
    async def _connections(self, count: int) -> AsyncIterator[list[Connection]]:
        where = urllib.parse.urlsplit(self.url)
        opened = [await asyncio.open_connection(where.hostname, where.port) for _ in range(count)]
        try:
            yield [Connection(reader, writer) for reader, writer in opened]
        finally:
            for _, writer in opened:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
