"""The benchmark's objects on a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from kelery.kube.answer import KubeError
from kelery_bench.clients.kube_objects import TASK_RUN, KubeObjects, kube_session
from kelery_dev.control_plane.control_plane import ControlPlane
from tests.support.cluster import Cluster

COUNT = 5


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    cluster = Cluster(control_plane.access(), namespace="kube-objects")
    cluster.create_namespace()
    return cluster.namespace


def test_objects_are_made_seen_written_counted_and_deleted(
    control_plane: ControlPlane, namespace: str
) -> None:
    names = [f"run-{number}" for number in range(COUNT)]
    seen: dict[str, list[str]] = {}

    all_told = asyncio.Event()

    def told(kind: str, body: Mapping[str, Any]) -> None:
        seen.setdefault(body["metadata"]["name"], []).append(kind)
        if sum(map(len, seen.values())) == COUNT + 1:
            all_told.set()

    async def work() -> None:
        async with kube_session(control_plane.access()) as session:
            objects = KubeObjects(session, path=TASK_RUN.path(namespace))
            async with objects.watched(told):
                bodies = [TASK_RUN.body(name, {"task": "bench.noop"}) for name in names]
                await objects.create_all(bodies, connections=2)
                await objects.put_status("run-0", {"phase": "Succeeded"})
                async with asyncio.timeout(20):
                    await all_told.wait()
            assert (await objects.get("run-0"))["status"] == {"phase": "Succeeded"}
            assert await objects.count() == COUNT
            with pytest.raises(KubeError, match="already exists") as refused:
                await objects.create(bodies[0])
            assert refused.value.status == 409
            await objects.delete_all()
            assert await objects.count() == 0

    asyncio.run(work())
    assert seen == {name: ["ADDED"] for name in names[1:]} | {"run-0": ["ADDED", "MODIFIED"]}
