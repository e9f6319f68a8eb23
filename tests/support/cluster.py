"""TaskRuns in one namespace of the real API server, and a watcher of their changes."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kelery.kube.answer import Answer
from kelery.kube.login import Login
from kelery.kube.sync_session import SyncSession
from tests.support.polling import poll_until

API = "/apis/kelery.dev/v1alpha1"
FINAL = ("Succeeded", "Failed", "Cancelled")

Body = Mapping[str, Any]


def with_credentials(access: SyncSession, **changes: Any) -> SyncSession:
    """The same API server with other credentials."""
    changed = replace(access.login.credentials(), **changes)
    return SyncSession(Login(lambda: changed))


class Cluster:
    """The TaskRuns of one namespace."""

    def __init__(self, access: SyncSession, *, namespace: str) -> None:
        self.access = access
        self.namespace = namespace
        self._numbers = itertools.count(1)

    @property
    def path(self) -> str:
        return f"{API}/namespaces/{self.namespace}/taskruns"

    def create_namespace(self) -> None:
        self.expect(201, "POST", path="/api/v1/namespaces", body={"metadata": {"name": self.namespace}})

    def create(self, *, name: str = "", labels: Mapping[str, str] | None = None, **spec: Any) -> Body:
        """Create a TaskRun, by default of `demo.add`."""
        body = {
            "apiVersion": "kelery.dev/v1alpha1",
            "kind": "TaskRun",
            "metadata": {"name": name or f"run-{next(self._numbers)}", "labels": dict(labels or {})},
            "spec": {"task": "demo.add", "args": [1, 2], **spec},
        }
        return self.expect(201, "POST", path=self.path, body=body)

    def create_many(self, names: Sequence[str], **spec: Any) -> None:
        """Create many over one connection. A handshake for each would take most of the time."""
        credentials = self.access.login.credentials()
        server = urllib.parse.urlsplit(credentials.server)
        connection = http.client.HTTPSConnection(
            server.hostname or "", server.port, context=credentials.trust(), timeout=30
        )
        headers = {**credentials.headers(), "Content-Type": "application/json"}
        for name in names:
            body = {"apiVersion": "kelery.dev/v1alpha1", "kind": "TaskRun", "metadata": {"name": name}}
            content = json.dumps({**body, "spec": {"task": "demo.add", **spec}})
            connection.request("POST", self.path, body=content, headers=headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 201
        connection.close()

    def get(self, name: str) -> Body | None:
        answer = self.access.request("GET", path=f"{self.path}/{name}")
        return None if answer.status == 404 else answer.body

    def status(self, name: str) -> Body:
        return (self.get(name) or {}).get("status") or {}

    def patch(self, name: str, **spec: Any) -> None:
        self.expect(200, "PATCH", path=f"{self.path}/{name}", body={"spec": spec}, kind="merge-patch+json")

    def break_status(self, name: str, status: Any) -> Answer:
        """Overwrite the status by JSON Patch."""
        return self.access.request(
            "PATCH",
            path=f"{self.path}/{name}/status",
            body=[{"op": "add", "path": "/status", "value": status}],
            content_type="application/json-patch+json",
        )

    def delete(self, name: str) -> None:
        self.expect(200, "DELETE", path=f"{self.path}/{name}")

    def delete_all(self) -> None:
        self.access.request("DELETE", path=self.path)

    def wait_for(self, name: str, *, seconds: float = 30, **fields: Any) -> Body:
        """Wait until the status has these fields, and return it."""

        def look() -> Body | None:
            status = self.status(name)
            return status if all(status.get(field) == value for field, value in fields.items()) else None

        found = poll_until(look, seconds=seconds, what=f"{name}: {fields}", state=lambda: self.status(name))
        assert found is not None
        return found

    def wait_gone(self, name: str, *, seconds: float = 30) -> None:
        poll_until(
            lambda: self.get(name) is None,
            seconds=seconds,
            what=f"{name} to go",
            state=lambda: self.get(name),
        )

    def expect(self, status: int, method: str, *, path: str, body: object = None, kind: str = "json") -> Body:
        answer = self.access.request(method, path=path, body=body, content_type=f"application/{kind}")
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.message}"
        return answer.body

    @contextlib.contextmanager
    def watched(self) -> Iterator[Watcher]:
        """Record each event of the namespace's TaskRuns, with the time at which it arrived."""
        version = self.expect(200, "GET", path=f"{self.path}?limit=1")["metadata"]["resourceVersion"]
        watcher = Watcher(self.access, path=f"{self.path}?watch=true&resourceVersion={version}")
        try:
            yield watcher
        finally:
            watcher.stop()


class Watcher:
    """A watch in its own thread."""

    def __init__(self, access: SyncSession, *, path: str) -> None:
        credentials = access.login.credentials()
        request = urllib.request.Request(credentials.server + path, headers=credentials.headers())
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=credentials.trust()), urllib.request.ProxyHandler({})
        )
        self.events: list[tuple[float, str, Body]] = []
        self._stream: http.client.HTTPResponse = opener.open(request, timeout=120)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def changes(self, name: str) -> list[Body]:
        """The object's states after its creation, one for each write."""
        return [
            body
            for _, kind, body in list(self.events)
            if kind == "MODIFIED" and body["metadata"]["name"] == name
        ]

    def phases(self, name: str) -> list[str]:
        return [change.get("status", {}).get("phase", "") for change in self.changes(name)]

    def wait_final(self, name: str, *, seconds: float = 30) -> float:
        """Wait for the final status; the time at which it arrived."""

        def look() -> float | None:
            for moment, _, body in list(self.events):
                if body["metadata"]["name"] == name and body.get("status", {}).get("phase") in FINAL:
                    return moment
            return None

        found = poll_until(look, seconds=seconds, what=f"the end of {name}", state=lambda: self.phases(name))
        assert found is not None
        return found

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            sock = self._stream.fp.raw._sock  # type: ignore[attr-defined]  # the only way to wake the reader
            sock.shutdown(2)
        self._thread.join(timeout=5)
        self._stream.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError, http.client.HTTPException):
            for line in self._stream:
                event = json.loads(line)
                self.events.append((time.monotonic(), event["type"], event["object"]))
