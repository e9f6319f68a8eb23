"""A pool child lets go of the main process's connections to Redis.

A child that is forked later, to replace one that ended, inherits them. As long as it holds a copy, a
connection that broke and was closed in the main process stays in that one's epoll set: its event loop spins,
and may take the stale event for one of a new connection with the same number and wait on that for ever, so
that the worker no longer consumes. (Measured: connections cut while children die, Celery 5.7.)
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit


def let_go(*redis_urls: str) -> int:
    """Replace inherited connections to these servers by /dev/null; how many there were.

    Not closed: the objects that own them would close their number again, which by then may be somebody
    else's.
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
