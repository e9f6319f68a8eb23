"""Releases the main process's connections to Redis in a pool child.

A child that replaces an earlier one inherits them. While it holds a copy, a broken connection that the main
process has closed stays in the main process's epoll set. The event loop spins there, and may mistake the
stale event for one of a new connection with the same number. Then it waits indefinitely, and the worker no
longer consumes. (Observed with Celery 5.7: connections cut while children die.)
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit


def let_go(*redis_urls: str) -> int:
    """Replace inherited connections to these servers by /dev/null; returns their number.

    They are not closed: the objects that own them would close the same descriptor again, which may belong to
    another connection by then.
    """
    servers = {address for url in redis_urls for address in _addresses(url)}
    released = 0
    with open(os.devnull, "rb") as nothing:
        for name in os.listdir("/proc/self/fd"):
            if _peer(int(name)) in servers:
                os.dup2(nothing.fileno(), int(name))
                released += 1
    return released


def _addresses(url: str) -> set[Any]:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return {parts.path}
    with suppress(OSError):
        found = socket.getaddrinfo(parts.hostname, parts.port or 6379, type=socket.SOCK_STREAM)
        return {address[:2] for *_, address in found}
    return set()


def _peer(fd: int) -> Any:
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            return None
        copy = socket.socket(fileno=os.dup(fd))
    except OSError:
        return None
    with copy:
        try:
            peer = copy.getpeername()
        except OSError:
            return None
    return peer[:2] if isinstance(peer, tuple) else peer
