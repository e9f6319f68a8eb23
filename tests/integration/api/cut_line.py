"""A line to a server on this machine that can be cut: for who is at its end, the server is gone then."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from kelery_dev.supervise.ports import LOOPBACK, free_port


class Line:
    """Carries TCP connections from a port of its own to the server's."""

    def __init__(self, *, to: int) -> None:
        self.port = free_port()
        self._to = to
        self._ends: set[asyncio.StreamWriter] = set()

    async def lay(self) -> None:
        """At first, and again after a cut."""
        self._server = await asyncio.start_server(self._carry, LOOPBACK, self.port)

    async def cut(self) -> None:
        """All connections break off, and new ones are refused."""
        self._server.close()
        for end in self._ends:
            end.transport.abort()
        self._ends.clear()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(LOOPBACK, self._to)
        self._ends |= {writer, far_writer}
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()
