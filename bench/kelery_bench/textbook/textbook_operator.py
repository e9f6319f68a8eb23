"""The reference for the operator: Celery tasks as resources, in the style of kopf's own tutorial.

`kopf run --standalone --all-namespaces textbook_operator.py`, with kopf's defaults. A creation handler sends
the task and stores its id, a deletion handler revokes it, and the result is written when Celery publishes it.
One subscription serves all tasks, so no task is polled. The creation handler owns `status.taskId` and the
result writer the rest, so neither overwrites the other. KUBECONFIG is the cluster, USERS_BROKER the broker.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from datetime import UTC, datetime
from typing import Any

import aiohttp
import kopf
from celery import Celery
from redis.asyncio import Redis

RESOURCE = ("textbook.example", "v1", "celerytasks")
REDIS = os.environ["USERS_BROKER"]

logger = logging.getLogger(__name__)
celery = Celery("textbook", broker=REDIS, backend=REDIS)
#: The tasks without a result, by id: namespace and name of their objects.
running: dict[str, tuple[str | None, str]] = {}
background: set[asyncio.Task[None]] = set()


@kopf.on.login()
def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Log in with KUBECONFIG."""
    return kopf.login_with_kubeconfig(**kwargs)


@kopf.on.startup()
async def start(**kwargs: Any) -> None:
    """Subscribe to results before the first task is sent."""
    info = kopf.login_with_kubeconfig(**kwargs)
    assert info is not None
    subscription = Redis.from_url(REDIS).pubsub()
    await subscription.psubscribe("celery-task-meta-*")
    background.add(asyncio.create_task(follow(subscription, info)))


@kopf.on.create(*RESOURCE)
def submit(spec: kopf.Spec, patch: kopf.Patch, uid: str, namespace: str | None, name: str, **_: Any) -> None:
    """Send the task; its id is the object's uid, so a repeated handler sends no other task."""
    running[uid] = namespace, name
    celery.send_task(
        spec["task"],
        args=spec.get("args", []),
        kwargs=spec.get("kwargs", {}),
        queue=spec.get("queue", "celery"),
        task_id=uid,
    )
    patch.status["taskId"] = uid


@kopf.on.resume(*RESOURCE)
def take_up(
    status: kopf.Status, patch: kopf.Patch, uid: str, namespace: str | None, name: str, **_: Any
) -> None:
    """After a restart, write the results of tasks that have ended meanwhile."""
    if "taskId" not in status or "state" in status:
        return
    found = celery.AsyncResult(uid)
    if found.ready():
        patch.status.update(
            outcome({"status": found.state, "result": found.result, "traceback": found.traceback})
        )
    else:
        running[uid] = namespace, name


@kopf.on.delete(*RESOURCE)
def stop(status: kopf.Status, uid: str, **_: Any) -> None:
    """Revoke a task that has not ended."""
    running.pop(uid, None)
    if "state" not in status:
        celery.control.revoke(uid, terminate=True)


async def follow(subscription: Any, info: kopf.ConnectionInfo) -> None:
    """Write each result as it is published."""
    headers = {"Authorization": f"Bearer {info.token}"}
    connector = aiohttp.TCPConnector(ssl=info.as_ssl_context())
    async with aiohttp.ClientSession(info.server, headers=headers, connector=connector) as session:
        async for message in subscription.listen():
            if message["type"] != "pmessage":
                continue
            meta = json.loads(message["data"])
            place = running.pop(meta["task_id"], None)
            if place is not None and meta["status"] in ("SUCCESS", "FAILURE", "REVOKED"):
                writing = asyncio.create_task(write(session, place, outcome(meta)))
                background.add(writing)
                writing.add_done_callback(background.discard)


async def write(
    session: aiohttp.ClientSession, place: tuple[str | None, str], status: dict[str, Any]
) -> None:
    """Write the last status of one object."""
    namespace, name = place
    group, version, plural = RESOURCE
    url = f"/apis/{group}/{version}/namespaces/{namespace}/{plural}/{name}/status"
    kind = {"Content-Type": "application/merge-patch+json"}
    async with session.patch(url, data=json.dumps({"status": status}), headers=kind) as answer:
        if answer.status not in (200, 404):
            logger.error("cannot write the status of %s/%s: %s", namespace, name, await answer.text())


def outcome(meta: dict[str, Any]) -> dict[str, Any]:
    """Celery's result of an ended task, as a status."""
    status = {"state": meta["status"], "completedAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    if meta["status"] == "SUCCESS":
        return {**status, "result": meta["result"]}
    return {**status, "traceback": str(meta.get("traceback") or "")}
