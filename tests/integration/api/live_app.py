"""The gateway's app behind a real HTTP server in this process, so that a test can inspect the app."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from fastapi import FastAPI

from tests.support.polling import poll_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The gateway's response. The body of a stream is not read."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


class LiveApp:
    """`with live_app(app) as live: live.ask("GET", "/livez")`."""

    def __init__(self, app: FastAPI, *, port: int) -> None:
        self.app = app
        self.port = port

    def ask(self, method: str, path: str, *, token: str | None = None, body: object = None) -> Reply:
        """Send one request on a new connection."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
            answer = connection.getresponse()
            got = {name.lower(): value for name, value in answer.getheaders()}
            endless = got.get("content-type", "").startswith("text/event-stream")
            return Reply(status=answer.status, headers=got, text="" if endless else answer.read().decode())
        finally:
            connection.close()


@contextmanager
def live_app(app: FastAPI) -> Iterator[LiveApp]:
    """Serve the app on a free port until the end of the block."""
    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=3)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    live = LiveApp(app, port=bound.getsockname()[1])
    try:
        poll_until(
            lambda: live.ask("GET", "/readyz").status == 200,
            seconds=60,
            what="the gateway to be ready",
            state=lambda: live.ask("GET", "/readyz").text,
        )
        yield live
    finally:
        server.should_exit = True
        thread.join(timeout=15)
        bound.close()
