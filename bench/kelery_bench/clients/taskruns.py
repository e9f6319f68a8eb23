"""TaskRuns for the benchmark: their requests, and a watcher of their ends."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from kelery.kube.sync_session import SyncSession
from kelery.run.phases import FINAL_PHASES, Phase
from kelery_bench.clients.api_client import Prepared, prepare
from kelery_bench.clients.watched_ends import Body, Ends, watched_ends
from kelery_dev.errors import DevError

_API = "kelery.dev/v1alpha1"
_FINAL = frozenset(phase.value for phase in FINAL_PHASES)


def collection(namespace: str) -> str:
    """The path of a namespace's TaskRuns."""
    return f"/apis/{_API}/namespaces/{namespace}/taskruns"


def manifest(name: str, *, spec: Mapping[str, Any], labels: Mapping[str, str] | None = None) -> Body:
    """The TaskRun object."""
    metadata = {"name": name, "labels": dict(labels)} if labels else {"name": name}
    return {"apiVersion": _API, "kind": "TaskRun", "metadata": metadata, "spec": dict(spec)}


def creation(
    access: SyncSession,
    *,
    namespace: str,
    name: str,
    spec: Mapping[str, Any],
    labels: Mapping[str, str] | None = None,
) -> Prepared:
    """The request that creates one."""
    body = manifest(name, spec=spec, labels=labels)
    return prepare(access.server, "POST", collection(namespace), status=201, body=body)


def status_write(access: SyncSession, *, namespace: str, name: str, status: Mapping[str, Any]) -> Prepared:
    """The request that replaces its status, like the operator's."""
    return prepare(
        access.server,
        "PATCH",
        f"{collection(namespace)}/{name}/status",
        status=200,
        body=[{"op": "add", "path": "/status", "value": dict(status)}],
        content_type="application/json-patch+json",
    )


def has_succeeded(run: Body) -> bool:
    """Whether the run has succeeded; DevError for any other end."""
    status = run.get("status") or {}
    phase = status.get("phase")
    if phase not in _FINAL:
        return False
    if phase != Phase.SUCCEEDED.value:
        raise DevError(f"a run ended as {phase}/{status.get('reason')}")
    return True


def watched_runs(
    access: SyncSession, namespace: str, *, selector: str = ""
) -> contextlib.AbstractAsyncContextManager[Ends]:
    """The ends of a namespace's runs, or of those with a label."""
    return watched_ends(access, collection(namespace), judge=has_succeeded, selector=selector)
