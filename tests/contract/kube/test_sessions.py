"""A session must not leak its credentials, or abort requests because others log in."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from kelery.kube.credentials import Credentials
from kelery.kube.login import Login, off_loop
from kelery.kube.session import ClusterSession
from kelery.kube.sync_session import SyncSession

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """Start a server for one test; its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def test_a_redirect_is_an_answer_and_the_token_goes_nowhere_else() -> None:
    asked: list[str] = []

    async def other(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Authorization", ""))
        return web.json_response({})

    async def play() -> int:
        async with serving(other) as elsewhere:

            async def redirect(_: web.Request) -> web.StreamResponse:
                raise web.HTTPFound(f"{elsewhere}/stolen")

            async with serving(redirect) as url:
                session = SyncSession(Login(lambda: Credentials(server=url, token="s3cret")))
                answer = await asyncio.to_thread(session.request, "GET", path="/api")
                return answer.status

    assert (asyncio.run(play()), asked) == (302, [])


def test_a_request_under_way_goes_on_when_others_need_new_connections() -> None:
    async def play() -> list[int]:
        started, may_end = asyncio.Event(), asyncio.Event()

        async def answer(request: web.Request) -> web.Response:
            if request.path == "/slow":
                started.set()
                await may_end.wait()
            return web.json_response({})

        async with serving(answer) as url:
            given = [
                Credentials(server=url),
                Credentials(server=url, certificate="x"),
                Credentials(server=url),
            ]
            login = Login(lambda: given[min(reads.pop(0), 2)])
            reads = [0, 1, 2, 2, 2]
            session = ClusterSession(login, client_name="test")
            slow = asyncio.create_task(session.request("GET", "/slow"))
            await started.wait()
            statuses = []
            for refused in given[:2]:
                await off_loop(functools.partial(login.renew, refused=refused))
                statuses.append((await session.request("GET", "/fast")).status)
            may_end.set()
            statuses.append((await slow).status)
            await session.close()
            return statuses

    assert asyncio.run(play()) == [200, 200, 200]
