"""What kopf makes of a watch: each event once, in order, at once, whatever fails; and no write at all."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable
from typing import Any, cast

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


class ApiServer:
    """Lists some TaskRuns, then shows some events, then none: one that waits for others waits in vain."""

    def __init__(self, *, listed: Iterable[Any], shown: Iterable[Any]) -> None:
        self._listed, self._shown = list(listed), list(shown)
        self.methods: set[str] = set()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.methods.add(request.method)
        if request.path != TASKRUNS:
            return web.json_response(ANSWERS[request.path])
        if "watch" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": "7"}, "items": self._listed})
        response = web.StreamResponse()
        await response.prepare(request)
        for kind, shown in self._shown:
            await response.write(json.dumps({"type": kind, "object": shown}).encode() + b"\n")
        self._shown = []
        await asyncio.sleep(60)
        return response


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
        server = ApiServer(listed=[body("a", version="5")], shown=shown)
        events = Events(enough=len(shown) + 1, bad="20")
        await watch(server, events)
        of_a = [(kind, version) for kind, uid, version in events.taken if uid == "a"]
        of_b = [(kind, version) for kind, uid, version in events.taken if uid == "b"]
        modified = [("MODIFIED", version) for version in versions]
        assert of_a == [(None, "5"), *modified, ("DELETED", "200")]
        assert of_b == [("ADDED", "9"), *modified]
        assert server.methods == {"GET"}

    with caplog.at_level(logging.ERROR):
        asyncio.run(play())
    failures = [record for record in caplog.records if "could not be taken in" in record.message]
    assert len(failures) == 2
    assert all(record.exc_info for record in failures)
