"""Volumes on the node, for clusters without dynamic provisioning."""

from __future__ import annotations

from tests.e2e.kubectl import Kubectl, Object
from tests.e2e.node import Node
from tests.e2e.release import NAME, NAMESPACE, SHELVES

_SIZE = "1Gi"


def prepare(kubectl: Kubectl, node: Node) -> None:
    """Create the journal's volume, for several pods, and Valkey's if there is no default StorageClass."""
    kubectl.apply(
        _volume("kelery-e2e-shelves", claim=SHELVES, path=node.folder("shelves"), mode="ReadWriteMany"),
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": SHELVES, "namespace": NAMESPACE},
            "spec": {
                "accessModes": ["ReadWriteMany"],
                # Empty, not absent: an absent field selects the cluster's default class.
                "storageClassName": "",
                "volumeName": "kelery-e2e-shelves",
                "resources": {"requests": {"storage": _SIZE}},
            },
        },
    )
    if not any(_is_default(found) for found in kubectl.items("storageclasses")):
        path = node.folder("valkey")
        claim = f"data-{NAME}-valkey-0"
        kubectl.apply(_volume("kelery-e2e-valkey", claim=claim, path=path, mode="ReadWriteOnce"))


def remove(kubectl: Kubectl) -> None:
    """Delete the volumes. Their claims were deleted with the namespace."""
    kubectl.run("delete", "persistentvolume", "-l", "kelery-e2e=yes", "--timeout=60s", timeout=70)


def _is_default(storage_class: Object) -> bool:
    annotations = storage_class["metadata"].get("annotations", {})
    return bool(annotations.get("storageclass.kubernetes.io/is-default-class") == "true")


def _volume(name: str, *, claim: str, path: str, mode: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {"kelery-e2e": "yes"}},
        "spec": {
            "capacity": {"storage": _SIZE},
            "accessModes": [mode],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": NAMESPACE, "name": claim},
            "hostPath": {"path": path, "type": "Directory"},
        },
    }
