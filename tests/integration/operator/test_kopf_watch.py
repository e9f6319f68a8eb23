"""kopf's watch: each event once, in order, immediately, no matter what fails; and no write at all.

The API server is played, in the event loop of the watch.
"""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from kelery.kube.credentials import Credentials
from kelery.kube.login import Login
from kelery_operator import kopf_watch

TASKRUNS = "/apis/kelery.dev/v1alpha1/taskruns"
RESOURCE = {
    "name": "taskruns",
    "singularName": "taskrun",
    "kind": "TaskRun",
    "namespaced": True,
    "verbs": ["get", "list", "watch", "patch", "delete"],
}
SERVED = {"version": "v1alpha1"}
ANSWERS: dict[str, Any] = {
    "/version": {"major": "1", "minor": "36"},
    "/api": {"versions": ["v1"]},
    # kopf waits until it has seen this one.
    "/api/v1": {"resources": [{**RESOURCE, "name": "namespaces", "kind": "Namespace", "namespaced": False}]},
    "/apis": {"groups": [{"name": "kelery.dev", "versions": [SERVED], "preferredVersion": SERVED}]},
    "/apis/kelery.dev/v1alpha1": {"resources": [RESOURCE]},
}


def body(uid: str, *, version: str) -> dict[str, Any]:
    """A TaskRun as far as kopf reads it."""
    metadata = {"uid": uid, "namespace": "default", "name": uid, "resourceVersion": version}
    return {"apiVersion": "kelery.dev/v1alpha1", "kind": "TaskRun", "metadata": metadata}


class Events:
    """Takes events in until there are enough; trips over some."""

    def __init__(self, *, enough: int, bad: str = "") -> None:
        self._left, self._bad = enough, bad
        self.taken: list[tuple[str | None, str, str]] = []
        self.done = asyncio.Event()

    def event(self, kind: str | None, shown: Any) -> None:
        metadata = shown["metadata"]
        self.taken.append((kind, metadata["uid"], metadata["resourceVersion"]))
        self._left -= 1
        if not self._left:
            self.done.set()
        if metadata["resourceVersion"] == self._bad:
            raise ValueError("cannot be read")


class ApiServer:
    """Lists some TaskRuns, sends some events at once, then others one by one.

    It sends each of the latter when all events before it are handled, and counts the requests that it answers
    in between. These take turns with the watch in the same event loop, no matter how busy the machine is.
    """

    def __init__(self, events: Events, *, listed: list[Any], shown: list[Any], one_by_one: list[Any]) -> None:
        self._events, self._listed, self._shown, self._one_by_one = events, listed, shown, one_by_one
        self.methods: set[str] = set()
        #: For each of those, the number of requests.
        self.answered_before: list[int] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.methods.add(request.method)
        if request.path != TASKRUNS:
            return web.json_response(ANSWERS[request.path])
        if "watch" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": "7"}, "items": self._listed})
        response = web.StreamResponse()
        await response.prepare(request)
        for event in self._shown:
            await write(response, event)
        before = len(self._listed) + len(self._shown)
        async with aiohttp.ClientSession(request.url.origin()) as session:
            await self._answer_until(session, taken=before)
            for number, event in enumerate(self._one_by_one, start=1):
                await write(response, event)
                self.answered_before.append(await self._answer_until(session, taken=before + number))
        await asyncio.sleep(60)
        return response

    async def _answer_until(self, session: aiohttp.ClientSession, *, taken: int) -> int:
        """Make requests to itself until this number of events is handled; returns the number of answers."""
        answered = 0
        while len(self._events.taken) < taken:
            async with session.get("/version") as answer:
                await answer.read()
            answered += 1
        return answered


async def write(response: web.StreamResponse, event: tuple[str, Any]) -> None:
    kind, shown = event
    await response.write(json.dumps({"type": kind, "object": shown}).encode() + b"\n")


async def watch(server: ApiServer, events: Events) -> None:
    """Watch that server until enough was taken in."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    watching = asyncio.create_task(
        kopf_watch.watch(
            cast("Any", events),
            login=Login(lambda: Credentials(server=f"http://{host}:{port}")),
            namespaces=(),
            started=lambda: None,
        )
    )
    done = asyncio.create_task(events.done.wait())
    await asyncio.wait({done, watching}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    for task in (done, watching):
        task.cancel()
    await asyncio.wait({watching}, timeout=5)
    await runner.cleanup()
    assert events.done.is_set()


def test_every_event_is_taken_in_once_and_those_of_an_object_in_their_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def play() -> None:
        versions = [str(version) for version in range(10, 110)]
        shown = [("ADDED", body("b", version="9"))]
        for version in versions:
            shown += [("MODIFIED", body(uid, version=version)) for uid in ("a", "b")]
        shown += [("DELETED", body("a", version="200"))]
        later = [str(version) for version in range(210, 230)]
        one_by_one = [("MODIFIED", body("b", version=version)) for version in later]
        events = Events(enough=1 + len(shown) + len(one_by_one), bad="20")
        server = ApiServer(events, listed=[body("a", version="5")], shown=shown, one_by_one=one_by_one)
        await watch(server, events)
        of_a = [(kind, version) for kind, uid, version in events.taken if uid == "a"]
        of_b = [(kind, version) for kind, uid, version in events.taken if uid == "b"]
        modified = [("MODIFIED", version) for version in versions]
        assert of_a == [(None, "5"), *modified, ("DELETED", "200")]
        assert of_b == [("ADDED", "9"), *modified, *(("MODIFIED", version) for version in later)]
        assert server.methods == {"GET"}
        # No event waits for others to come together with it: such a wait would see many requests answered.
        assert statistics.median(server.answered_before) <= 5, server.answered_before

    with caplog.at_level(logging.ERROR):
        asyncio.run(play())
    failures = [record for record in caplog.records if "cannot process a watch event" in record.message]
    assert len(failures) == 2
    assert all(record.exc_info for record in failures)
