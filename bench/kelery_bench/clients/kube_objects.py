"""Objects of one kind in one namespace, over connections that stay open: for many requests at once.

Bodies are written to JSON before the clock starts. What it cannot do is a `DevError`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from kelery_dev.control_plane.cluster_access import ClusterAccess
from kelery_dev.errors import DevError

#: An event's type and its object.
Told = Callable[[str, Mapping[str, Any]], None]

_SOON_SECONDS = 0.1


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
        """An object to be created."""
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

    def __init__(self, session: aiohttp.ClientSession, *, path: str) -> None:
        self._session = session
        self._path = path

    async def create(self, body: bytes) -> None:
        """One object, from its JSON."""
        async with self._session.post(self._path, data=body) as answer:
            await _expect(answer, status=201)

    async def create_all(
        self, bodies: Sequence[bytes], *, connections: int, per_second: float | None = None
    ) -> None:
        """All of them: as fast as so many connections carry them, or at an even pace."""
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
        """Write a whole status, as its controller would."""
        patch = [{"op": "add", "path": "/status", "value": status}]
        headers = {"Content-Type": "application/json-patch+json"}
        url = f"{self._path}/{name}/status"
        async with self._session.patch(url, data=json.dumps(patch).encode(), headers=headers) as answer:
            await _expect(answer, status=200)

    async def get(self, name: str) -> Mapping[str, Any]:
        async with self._session.get(f"{self._path}/{name}") as answer:
            return await _expect(answer, status=200)

    async def count(self) -> int:
        """How many there are."""
        async with self._session.get(self._path, params={"limit": "1"}) as answer:
            found = await _expect(answer, status=200)
        return len(found["items"]) + int(found["metadata"].get("remainingItemCount", 0))

    async def delete_all(self) -> None:
        """Delete them in one request, and return when they are gone."""
        async with self._session.delete(self._path) as answer:
            await _expect(answer, status=200)
        while True:
            if not await self.count():
                return
            await asyncio.sleep(_SOON_SECONDS)

    @contextlib.asynccontextmanager
    async def watched(self, told: Told) -> AsyncIterator[None]:
        """Hear of each change from now on, while the context is open."""
        async with self._session.get(self._path, params={"limit": "1"}) as answer:
            version = (await _expect(answer, status=200))["metadata"]["resourceVersion"]
        try:
            # If it fails, the context's body is not to wait for what never comes.
            async with asyncio.TaskGroup() as group:
                reader = group.create_task(self._follow(version, told))
                yield
                reader.cancel()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _follow(self, version: str, told: Told) -> None:
        """An API server under load ends the watches that it thinks are slow; they go on where they were."""
        while True:
            query = {"watch": "true", "resourceVersion": version}
            async with self._session.get(self._path, params=query) as stream:
                if stream.status != 200:
                    raise DevError(f"the watch was refused: HTTP {stream.status}")
                async for line in stream.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise DevError(f"the watch has failed: {event['object'].get('message')}")
                    version = event["object"]["metadata"]["resourceVersion"]
                    told(event["type"], event["object"])


async def _expect(answer: aiohttp.ClientResponse, *, status: int) -> Mapping[str, Any]:
    body: Mapping[str, Any] = await answer.json(content_type=None)
    if answer.status != status:
        raise DevError(f"{answer.method} {answer.url.path}: HTTP {answer.status}, {body.get('message', '')}")
    return body


@contextlib.asynccontextmanager
async def kube_session(access: ClusterAccess) -> AsyncIterator[aiohttp.ClientSession]:
    """Connections to the API server, closed with the context."""
    headers = {**access.headers, "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(ssl=access.trust, limit=0)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)
    async with aiohttp.ClientSession(
        access.server, connector=connector, headers=headers, timeout=timeout
    ) as session:
        yield session
