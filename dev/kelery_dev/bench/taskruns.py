"""TaskRuns for the benchmark: their requests, and a watcher that says when each was seen to have ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from kelery.phases import FINAL_PHASES, Phase
from kelery_dev.bench.api_client import Prepared, Seen, prepare, watching
from kelery_dev.cluster_access import ClusterAccess
from kelery_dev.errors import DevError

_API = "kelery.dev/v1alpha1"
_FINAL = frozenset(phase.value for phase in FINAL_PHASES)


def collection(namespace: str) -> str:
    """The path of a namespace's TaskRuns."""
    return f"/apis/{_API}/namespaces/{namespace}/taskruns"


def creation(access: ClusterAccess, *, namespace: str, name: str, spec: Mapping[str, Any]) -> Prepared:
    """The request that creates one."""
    body = {"apiVersion": _API, "kind": "TaskRun", "metadata": {"name": name}, "spec": dict(spec)}
    return prepare(access, "POST", collection(namespace), status=201, body=body)


def status_write(access: ClusterAccess, *, namespace: str, name: str, status: Mapping[str, Any]) -> Prepared:
    """The request that replaces its status, in the way in which the operator does it."""
    return prepare(
        access,
        "PATCH",
        f"{collection(namespace)}/{name}/status",
        status=200,
        body=[{"op": "add", "path": "/status", "value": dict(status)}],
        content_type="application/json-patch+json",
    )


class Ends:
    """When the runs of a namespace were seen to have succeeded, by the client's clock."""

    def __init__(self) -> None:
        self._ends: dict[str, asyncio.Future[tuple[float, Mapping[str, Any]]]] = {}

    async def moment(self, name: str) -> float:
        """Waits until it is seen."""
        return (await self._end(name))[0]

    async def status(self, name: str) -> Mapping[str, Any]:
        """The final status; waits until it is seen."""
        return (await self._end(name))[1]

    def _end(self, name: str) -> asyncio.Future[tuple[float, Mapping[str, Any]]]:
        if name not in self._ends:
            self._ends[name] = asyncio.get_running_loop().create_future()
        return self._ends[name]

    async def read(self, events: AsyncIterator[Seen]) -> None:
        """Take note of each event; a watch that fails is an error for whoever waits."""
        try:
            await self._read(events)
        except Exception as error:
            for end in self._ends.values():
                if not end.done():
                    end.set_exception(error)

    async def _read(self, events: AsyncIterator[Seen]) -> None:
        async for event in events:
            status = event.body.get("status") or {}
            phase = status.get("phase")
            end = self._end(event.body["metadata"]["name"])
            if phase not in _FINAL or end.done():
                continue
            if phase == Phase.SUCCEEDED.value:
                end.set_result((event.moment, status))
            else:
                end.set_exception(DevError(f"a run ended as {phase}/{status.get('reason')}"))


@contextlib.asynccontextmanager
async def watched_ends(access: ClusterAccess, namespace: str) -> AsyncIterator[Ends]:
    """Those of the runs that are created from now on."""
    async with watching(access, collection(namespace)) as events:
        ends = Ends()
        reader = asyncio.ensure_future(ends.read(events))
        try:
            yield ends
        finally:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader
