"""A TCP proxy in front of a local server. After it closes, clients cannot reach the server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType

from kelery_dev.supervise.ports import LOOPBACK, free_port


class TcpProxy:
    """`async with TcpProxy(to=port) as proxy: ... proxy.port`; it listens from the start of the block."""

    def __init__(self, *, to: int) -> None:
        self.port = free_port()
        #: The number of client connections that it has cut.
        self.cuts = 0
        #: While this is not set, no data passes in either direction.
        self.lets_pass = asyncio.Event()
        self.lets_pass.set()
        self._to = to
        self._clients: set[asyncio.StreamWriter] = set()
        self._carriers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> TcpProxy:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        await asyncio.gather(*self._carriers, return_exceptions=True)

    async def listen(self) -> None:
        """Accept connections, also again after `close`."""
        self._server = await asyncio.start_server(self._carry, LOOPBACK, self.port)

    def cut(self) -> None:
        """Break all connections. New ones are accepted."""
        self.cuts += len(self._clients)
        for client in self._clients:
            client.transport.abort()
        self._clients.clear()

    def close(self) -> None:
        """Break all connections and refuse new ones."""
        self._server.close()
        self.cut()

    async def _carry(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self._clients.add(client)
        if task := asyncio.current_task():
            self._carriers.add(task)
            task.add_done_callback(self._carriers.discard)
        try:
            far_reader, server = await asyncio.open_connection(LOOPBACK, self._to)
            # Each end closes the other one.
            await asyncio.gather(self._pump(reader, server), self._pump(far_reader, client))
        finally:
            self._clients.discard(client)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await self.lets_pass.wait()
                sink.write(data)
                await sink.drain()
        sink.close()
