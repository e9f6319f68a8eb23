"""Applies the chart's CRD and admission policy to an API server, and waits until the CRD is served.

The chart's files are the only copy of these manifests. Server-side apply is used, so a repetition changes
nothing.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from kelery.kube.sync_session import SyncSession
from kelery.taskrun.crd import chart_files
from kelery_dev.errors import DevError

_POLL_SECONDS = 0.1
_SERVED_SECONDS = 30.0
FIELD_MANAGER = "kelery-dev"

Manifest = Mapping[str, Any]


def manifests(*, subfolder: str, root: Path | None = None) -> list[Manifest]:
    """Every object in the YAML files of one subfolder, ordered by file name."""
    folder = (root or chart_files()) / subfolder
    documents = [
        document
        for file in sorted(folder.glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text())
        if document
    ]
    return list(documents)


def apply_crds(access: SyncSession) -> list[str]:
    """Apply the CRDs and wait until each is served; returns their names."""
    crds = manifests(subfolder="crds")
    for crd in crds:
        apply(access, manifest=crd)
    for crd in crds:
        wait_until_served(access, crd=crd)
    return [str(crd["metadata"]["name"]) for crd in crds]


def apply_policy(access: SyncSession) -> None:
    """Apply the admission policies and their bindings."""
    for manifest in manifests(subfolder="policy"):
        apply(access, manifest=manifest)


def apply(access: SyncSession, *, manifest: Manifest) -> None:
    """Apply one object of any kind that the server knows."""
    name = manifest["metadata"]["name"]
    answer = access.request(
        "PATCH",
        path=f"{_collection(access, manifest=manifest)}/{name}?fieldManager={FIELD_MANAGER}&force=true",
        body=manifest,
        content_type="application/apply-patch+yaml",
    )
    if answer.status not in (200, 201):
        raise DevError(f"the API server refused {manifest['kind']} {name}: {answer.message}")


def wait_until_served(access: SyncSession, *, crd: Manifest) -> None:
    """Wait until the API server lists objects of every served version of a CRD."""
    name, spec = crd["metadata"]["name"], crd["spec"]
    paths: Sequence[str] = [
        f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}?limit=1"
        for version in spec["versions"]
        if version.get("served")
    ]
    deadline = time.monotonic() + _SERVED_SECONDS
    while True:
        answer = access.request("GET", path=f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
        conditions = (answer.body.get("status") or {}).get("conditions") or []
        states = {condition["type"]: condition["status"] for condition in conditions}
        if states.get("Established") == "True" and all(
            access.request("GET", path=path).status == 200 for path in paths
        ):
            return
        if time.monotonic() > deadline:
            reasons = "; ".join(str(condition.get("message")) for condition in conditions)
            raise DevError(f"the API server did not serve {name} within {_SERVED_SECONDS:g} s: {reasons}")
        time.sleep(_POLL_SECONDS)


def _collection(access: SyncSession, *, manifest: Manifest) -> str:
    """The collection path of objects of this kind, from the server's discovery."""
    version, kind = manifest["apiVersion"], manifest["kind"]
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    for resource in access.request("GET", path=base).body.get("resources") or ():
        if resource["kind"] == kind and "/" not in resource["name"]:
            if resource["namespaced"]:
                namespace = manifest["metadata"].get("namespace", "default")
                return f"{base}/namespaces/{namespace}/{resource['name']}"
            return f"{base}/{resource['name']}"
    raise DevError(f"the API server has no {kind} in {version}: Kelery needs Kubernetes 1.32 or newer")
