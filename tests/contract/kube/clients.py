"""Every way in which Kelery sends requests to an API server, each as one request that may be refused."""

from __future__ import annotations

from collections.abc import Callable

import uvloop
from kopf._cogs.clients.auth import APIContext

from kelery.kube.login import Login
from kelery.kube.session import ClusterSession
from kelery.kube.sync_session import SyncSession
from kelery_bench.clients.api_client import connected
from kelery_operator.kopf_watch import login_handler

#: Raises, or returns the status of the answer.
Ask = Callable[[Login], int]


def by_command_line(login: Login) -> int:
    return SyncSession(login).request("GET", path="/api").status


def by_program(login: Login) -> int:
    async def ask() -> int:
        session = ClusterSession(login, client_name="test", request_seconds=10)
        try:
            return (await session.request("GET", "/api")).status
        finally:
            await session.close()

    return uvloop.run(ask())


def by_benchmark(login: Login) -> int:
    async def ask() -> int:
        async with connected(SyncSession(login)):
            return 200

    return uvloop.run(ask())


def by_kopf(login: Login) -> int:
    """As kopf does, but without its handling of a refusal."""

    async def ask() -> int:
        context = APIContext(await login_handler(login)())
        try:
            async with context.session.get(f"{context.server}/api") as response:
                return response.status
        finally:
            await context.close()

    return uvloop.run(ask())


CLIENTS = {
    "command line": by_command_line,
    "program": by_program,
    "benchmark": by_benchmark,
    "kopf": by_kopf,
}
