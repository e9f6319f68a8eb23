"""The demo's second part with faulty gateways: it reports the problem in a sentence and ends at once."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from kelery_dev.demo.demo import BOTH_APIS
from kelery_dev.demo.http import Event, HttpDoor
from kelery_dev.demo.http_demo import HttpDemo
from kelery_dev.demo.kubectl import Kubectl
from kelery_dev.demo.screen import Screen
from kelery_dev.errors import DevError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def serve(handler: Handler) -> tuple[web.AppRunner, str]:
    """A server on a free port, and its URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    return runner, f"http://{host}:{port}"


def problems(handler: Handler, *, folder: Path) -> list[str]:
    """The problems that this part reports about a gateway."""

    async def play() -> list[str]:
        runner, url = await serve(handler)
        kubectl = Kubectl(Path("/nowhere"), kubeconfig=Path("/nowhere"), cache=folder)
        screen = Screen(write=lambda _: None, colours=False)
        try:
            async with HttpDoor(url) as http:
                return await HttpDemo(http=http, kubectl=kubectl, screen=screen, folder=BOTH_APIS).run()
        finally:
            await runner.cleanup()

    return asyncio.run(play())


def test_a_second_start_that_is_not_refused_is_said_and_ends_it(tmp_path: Path) -> None:
    asked = []

    async def starts_everything(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.json_response({"id": "1", "status": "PENDING", "result": None})

    said = problems(starts_everything, folder=tmp_path)
    assert said == ["/start returned 200 (expected 409)"]
    assert asked == ["/start", "/start"]


def test_a_gateway_that_does_not_speak_json_is_said(tmp_path: Path) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(text="hello")

    [said] = problems(handler, folder=tmp_path)
    assert said.startswith("the gateway did not answer GET /start: ")


def events(stream: bytes) -> list[Event]:
    """The events that the demo reads from a stream."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=stream, content_type="text/event-stream")

    async def read() -> list[Event]:
        runner, url = await serve(handler)
        try:
            async with HttpDoor(url) as http:
                return [event async for event in http.events("/events")]
        finally:
            await runner.cleanup()

    return asyncio.run(read())


def test_events_are_read_between_keep_alives() -> None:
    first, second = b'event: phase\nid: 1\ndata: {"a":1}\n\n', b"event: x\nid: 2\ndata: 3\n\n"
    stream = b"retry: 1000\n\n" + first + b": keep-alive\n\n" + second
    assert events(stream) == [Event(name="phase", id=1, data={"a": 1}), Event(name="x", id=2, data=3)]


def test_a_gateway_that_is_not_there_is_said() -> None:
    async def ask() -> None:
        async with HttpDoor("http://127.0.0.1:9") as http:
            await http.ask("GET", "/start")

    with pytest.raises(DevError, match="the gateway did not answer GET /start"):
        asyncio.run(ask())
