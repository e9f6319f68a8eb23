"""The sender of a storm, a separate process, so that its work does not delay the measurement."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kelery.kube.sync_session import SyncSession
from kelery_bench.clients.kube_objects import TASK_RUN, KubeObjects, kube_session
from kelery_dev.errors import DevError

_CONNECTIONS = 16
_PATIENCE_SECONDS = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """The times of a storm, in seconds since its first request."""

    created: float
    ended: float


def send_storm(kubeconfig: Path, namespace: str, count: int) -> Passed:
    """Create `count` TaskRuns as fast as possible; returns when all have succeeded."""
    return asyncio.run(_send(kubeconfig, namespace, count))


async def _send(kubeconfig: Path, namespace: str, count: int) -> Passed:
    bodies = [TASK_RUN.body(f"drop-{number}", {"task": "bench.noop"}) for number in range(count)]
    ended: set[str] = set()
    all_ended = asyncio.Event()

    def on_event(_: str, body: Mapping[str, Any]) -> None:
        if (body.get("status") or {}).get("phase") == "Succeeded":
            ended.add(body["metadata"]["name"])
            if len(ended) == count:
                all_ended.set()

    async with kube_session(SyncSession.from_kubeconfig(kubeconfig)) as session:
        objects = KubeObjects(session, path=TASK_RUN.path(namespace))
        async with objects.watched(on_event):
            began = time.perf_counter()
            await objects.create_all(bodies, connections=_CONNECTIONS)
            created = time.perf_counter() - began
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await all_ended.wait()
            except TimeoutError:
                raise DevError(f"only {len(ended)} of {count} runs of the storm succeeded") from None
            return Passed(created=created, ended=time.perf_counter() - began)
