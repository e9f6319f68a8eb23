"""Objects of one kind in one namespace, with the core's session, for many requests at once.

Bodies are JSON before the clock starts. Failures raise `KubeError`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kelery.kube.answer import Answer, KubeError
from kelery.kube.session import ClusterSession
from kelery.kube.sync_session import SyncSession

#: An event's type and its object.
Told = Callable[[str, Mapping[str, Any]], None]

_SOON_SECONDS = 0.1
#: A request may delete thousands of objects.
_REQUEST_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A namespaced custom resource."""

    group: str
    version: str
    plural: str
    kind: str

    def path(self, namespace: str) -> str:
        return f"/apis/{self.group}/{self.version}/namespaces/{namespace}/{self.plural}"

    def body(self, name: str, spec: Mapping[str, Any]) -> bytes:
        """The JSON of a new object."""
        return json.dumps(
            {
                "apiVersion": f"{self.group}/{self.version}",
                "kind": self.kind,
                "metadata": {"name": name},
                "spec": dict(spec),
            }
        ).encode()


TASK_RUN = Kind(group="kelery.dev", version="v1alpha1", plural="taskruns", kind="TaskRun")


class KubeObjects:
    """One kind in one namespace."""

    def __init__(self, session: ClusterSession, *, path: str) -> None:
        self._session = session
        self._path = path

    async def create(self, body: bytes) -> None:
        """Create one object from its JSON."""
        _expect(await self._session.request("POST", self._path, body=body), status=201)

    async def create_all(
        self, bodies: Sequence[bytes], *, connections: int, per_second: float | None = None
    ) -> None:
        """Create all objects over several connections: as fast as possible, or at an even pace."""
        left = iter(enumerate(bodies))
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def carry() -> None:
            for number, body in left:
                if per_second:
                    await asyncio.sleep(began + number / per_second - loop.time())
                await self.create(body)

        await asyncio.gather(*(carry() for _ in range(connections)))

    async def put_status(self, name: str, status: Mapping[str, Any]) -> None:
        """Write a whole status, like a controller."""
        answer = await self._session.request(
            "PATCH",
            f"{self._path}/{name}/status",
            body=[{"op": "add", "path": "/status", "value": status}],
            content_type="application/json-patch+json",
        )
        _expect(answer, status=200)

    async def get(self, name: str) -> Mapping[str, Any]:
        return _expect(await self._session.request("GET", f"{self._path}/{name}"), status=200)

    async def count(self) -> int:
        """The number of objects."""
        found = await self._first()
        return len(found["items"]) + int(found["metadata"].get("remainingItemCount", 0))

    async def delete_all(self) -> None:
        """Delete all objects in one request; returns when they are gone."""
        _expect(await self._session.request("DELETE", self._path), status=200)
        while True:
            if not await self.count():
                return
            await asyncio.sleep(_SOON_SECONDS)

    @contextlib.asynccontextmanager
    async def watched(self, told: Told) -> AsyncIterator[None]:
        """Call `told` for each change while the context is open."""
        version = (await self._first())["metadata"]["resourceVersion"]
        try:
            # If the watch fails, the context's body must not wait for events.
            async with asyncio.TaskGroup() as group:
                reader = group.create_task(self._follow(version, told))
                yield
                reader.cancel()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _first(self) -> Mapping[str, Any]:
        return _expect(await self._session.request("GET", self._path, query={"limit": "1"}), status=200)

    async def _follow(self, version: str, told: Told) -> None:
        """Follow the watch; an API server under load ends slow watches, which then continue."""
        while True:
            query = {"watch": "true", "resourceVersion": version}
            async with self._session.lines(self._path, query=query) as lines:
                async for line in lines:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        message = f"the watch failed: {event['object'].get('message')}"
                        raise KubeError(message, status=int(event["object"].get("code") or 0))
                    version = event["object"]["metadata"]["resourceVersion"]
                    told(event["type"], event["object"])


def _expect(answer: Answer, *, status: int) -> Mapping[str, Any]:
    if answer.status != status:
        raise answer.error()
    return answer.body


@contextlib.asynccontextmanager
async def kube_session(access: SyncSession) -> AsyncIterator[ClusterSession]:
    """A session with the API server, closed with the context."""
    session = ClusterSession(
        access.login, client_name="kelery-bench", connections=0, request_seconds=_REQUEST_SECONDS
    )
    try:
        yield session
    finally:
        await session.close()
