"""The nodes and the image of the Jobs: the workers' nodes, with an image that they already have.

A Job that pulls its image, or executes on another kind of machine, would not be a valid reference.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kelery_bench.cluster.target import Target
from kelery_dev.errors import DevError

Pod = Mapping[str, Any]

_POOL = "kelery.dev/pool"
_RELEASE = "app.kubernetes.io/instance"
#: OpenShift assigns users by namespace, and refuses the user of another namespace.
_OPENSHIFT = "openshift.io/scc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The placement of the Jobs' pods."""

    nodes: tuple[str, ...]
    image: str
    python: str
    tolerations: tuple[Mapping[str, Any], ...] = ()
    #: The workers' user and group, if their pods set them.
    security: Mapping[str, Any]


def find_placement(target: Target, *, worker: str) -> Placement:
    """The placement from the worker that took a run; its Celery name ends with the name of its pod."""
    name = worker.rpartition("@")[2]
    found = [pod for pod in _pods(target, field="metadata.name", value=name) if _is_running(pod)]
    if not found:
        where = f"the namespace {target.worker_namespace}" if target.worker_namespace else "any namespace"
        raise DevError(
            f"the worker {worker} took a run, but there is no running pod {name} in {where}. The Jobs must"
            " execute on the workers' nodes. So the workers must be pods of this cluster, and their Celery"
            " names must end with @ and the pod's name, as in the chart: check --worker-namespace"
        )
    # A name is unique within its namespace only; the chart's pod is most likely the worker.
    pod = max(found, key=lambda one: _POOL in _labels(one))
    return placement_of(pod, others=_pool_of(pod, target=target), image=target.image)


def placement_of(pod: Pod, *, others: Sequence[Pod], image: str | None) -> Placement:
    """The placement of that worker's pod, and of the nodes of its pool, which also execute runs."""
    containers = pod["spec"]["containers"]
    worker = next((one for one in containers if one["name"] == "worker"), containers[0])
    nodes = {one["spec"]["nodeName"] for one in (pod, *others) if _is_running(one)}
    return Placement(
        nodes=tuple(sorted(nodes)),
        image=image or worker["image"],
        python="python3" if image else _python(worker),
        tolerations=tuple(pod["spec"].get("tolerations") or ()),
        security=_user(pod, container=worker),
    )


def _python(container: Mapping[str, Any]) -> str:
    """The Python of the app's virtual environment, if the chart starts the worker with it."""
    command = container.get("command") or [""]
    return str(command[0]) if command[1:3] == ["-m", "celery"] else "python3"


def _user(pod: Pod, *, container: Mapping[str, Any]) -> Mapping[str, Any]:
    if _OPENSHIFT in (pod["metadata"].get("annotations") or {}):
        return {}
    said = {**(pod["spec"].get("securityContext") or {}), **(container.get("securityContext") or {})}
    return {name: said[name] for name in ("runAsUser", "runAsGroup") if name in said}


def _pool_of(pod: Pod, *, target: Target) -> list[Pod]:
    labels = _labels(pod)
    if _POOL not in labels:
        return []
    selector = ",".join(f"{name}={labels[name]}" for name in (_RELEASE, _POOL) if name in labels)
    query = f"labelSelector={urllib.parse.quote(selector)}"
    return _listed(target, query=query, namespace=pod["metadata"]["namespace"])


def _pods(target: Target, *, field: str, value: str) -> list[Pod]:
    query = f"fieldSelector={urllib.parse.quote(f'{field}={value}')}"
    return _listed(target, query=query, namespace=target.worker_namespace)


def _listed(target: Target, *, query: str, namespace: str | None) -> list[Pod]:
    where = f"namespaces/{namespace}/" if namespace else ""
    answer = target.access.request("GET", path=f"/api/v1/{where}pods?{query}")
    if answer.status != 200:
        raise DevError(f"cannot list the workers' pods: {answer.message}")
    return list(answer.body["items"])


def _is_running(pod: Pod) -> bool:
    running = (pod.get("status") or {}).get("phase") == "Running" and pod["spec"].get("nodeName")
    return bool(running) and "deletionTimestamp" not in pod["metadata"]


def _labels(pod: Pod) -> Mapping[str, str]:
    return pod["metadata"].get("labels") or {}
