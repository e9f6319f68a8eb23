"""The reference: a Job that starts Python and does nothing, on the workers' nodes.

It is as fast as possible: no token, no volume, a small request, and Python without the app's imports.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from kelery.kube.sync_session import SyncSession
from kelery_bench.clients.api_client import Prepared, prepare
from kelery_bench.clients.watched_ends import Body, Ends, watched_ends
from kelery_bench.cluster.placement import Placement
from kelery_dev.errors import DevError

#: In case nobody deletes it.
_TTL_SECONDS = 3600
_DEADLINE_SECONDS = 600


def collection(namespace: str) -> str:
    """The path of a namespace's Jobs."""
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


def manifest(
    name: str, *, placement: Placement, labels: Mapping[str, str], nodes: Sequence[str] = ()
) -> dict[str, Any]:
    """The Job object; only on `nodes` if given."""
    # By name, not by label: a node's hostname label may differ from its name. Terms are alternatives.
    terms = [
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
        for node in nodes or placement.nodes
    ]
    container = {
        "name": "noop",
        "image": placement.image,
        "imagePullPolicy": "IfNotPresent",
        "command": [placement.python, "-c", "pass"],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        },
        "tolerations": [dict(one) for one in placement.tolerations],
        "securityContext": {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
            **placement.security,
        },
        "containers": [container],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": _DEADLINE_SECONDS,
            "ttlSecondsAfterFinished": _TTL_SECONDS,
            "template": {"metadata": {"labels": dict(labels)}, "spec": pod},
        },
    }


def creation(
    access: SyncSession, *, namespace: str, name: str, placement: Placement, labels: Mapping[str, str]
) -> Prepared:
    """The request that creates one."""
    body = manifest(name, placement=placement, labels=labels)
    return prepare(access.server, "POST", collection(namespace), status=201, body=body)


def has_completed(job: Body) -> bool:
    """Whether the Job has completed; DevError if it failed."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    said = {one["type"]: one for one in conditions if one["status"] == "True"}
    if failed := said.get("Failed"):
        raise DevError(f"a Job failed: {failed.get('reason')}: {failed.get('message')}")
    return "Complete" in said


def watched_jobs(
    access: SyncSession, namespace: str, *, selector: str
) -> contextlib.AbstractAsyncContextManager[Ends]:
    """The ends of a namespace's Jobs with a label."""
    return watched_ends(access, collection(namespace), judge=has_completed, selector=selector)
