"""A client that costs little compared with the server: it prepares one request and repeats it over open
connections.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request as bytes, and its target."""

    host: str
    port: int
    content: bytes
    status: int


def prepare(
    method: str, url: str, *, body: Any = None, headers: Mapping[str, str] | None = None, status: int
) -> Prepared:
    """Prepare a request. Every answer must have `status`."""
    parts = urlsplit(url)
    content = b"" if body is None else json.dumps(body).encode()
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {len(content)}"]
    if body is not None:
        lines.append("Content-Type: application/json")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return Prepared(host=parts.hostname or "", port=parts.port or 80, content=head + content, status=status)


async def latencies(request: Prepared, *, count: int) -> list[float]:
    """The seconds of each of `count` requests, sent one after the other."""
    reader, writer = await asyncio.open_connection(request.host, request.port)
    try:
        return [await _once(request, reader, writer) for _ in range(count)]
    finally:
        writer.close()


async def throughput(request: Prepared, *, count: int, connections: int) -> float:
    """Requests a second over several connections at once."""
    each = count // connections
    began = time.perf_counter()
    await asyncio.gather(*(latencies(request, count=each) for _ in range(connections)))
    return each * connections / (time.perf_counter() - began)


async def _once(request: Prepared, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
    began = time.perf_counter()
    writer.write(request.content)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    body = await reader.readexactly(length)
    took = time.perf_counter() - began
    status = int(head.split(b" ", 2)[1])
    assert status == request.status, (status, body[:500])
    return took
