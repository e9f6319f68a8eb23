"""The resource TaskRun and its metadata.

Invariant: these functions are total. No metadata makes them fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from kelery.taskrun.validation import as_mapping, as_text
from kelery.timestamps import EPOCH

GROUP = "kelery.dev"
VERSION = "v1alpha1"
PLURAL = "taskruns"
KIND = "TaskRun"

#: Tools that set these labels or annotations create a deleted object again. None: any value.
_TRACKING_LABELS = (
    ("app.kubernetes.io/managed-by", "Helm"),
    ("argocd.argoproj.io/instance", None),
    ("kustomize.toolkit.fluxcd.io/name", None),
    ("helm.toolkit.fluxcd.io/name", None),
)
_TRACKING_ANNOTATIONS = ("meta.helm.sh/release-name", "argocd.argoproj.io/tracking-id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Identifies an object. A part that is missing is ""."""

    uid: str
    namespace: str
    name: str


def identity(metadata: Mapping[str, Any]) -> Identity:
    """The identity in an object's metadata."""
    return Identity(
        uid=as_text(metadata.get("uid")),
        namespace=as_text(metadata.get("namespace")),
        name=as_text(metadata.get("name")),
    )


def created_at(metadata: Mapping[str, Any]) -> datetime:
    """When the object was created, in whole seconds; the epoch if it is unreadable."""
    return _moment(as_text(metadata.get("creationTimestamp")))


def version_of(metadata: Mapping[str, Any]) -> int:
    """The resourceVersion as a growing number; 0 if it is not a number."""
    version = metadata.get("resourceVersion")
    return int(version) if isinstance(version, str) and version.isascii() and version.isdigit() else 0


def generation_of(metadata: Mapping[str, Any]) -> int:
    """The generation, from 1. In generation 1, the spec is as it was created."""
    generation = metadata.get("generation")
    return generation if isinstance(generation, int) else 1


def is_tracked(metadata: Mapping[str, Any]) -> bool:
    """Whether Helm, Argo CD or Flux tracks the object and would create it again after its deletion."""
    labels, annotations = as_mapping(metadata.get("labels")), as_mapping(metadata.get("annotations"))
    by_label = any(
        label in labels and (value is None or labels[label] == value) for label, value in _TRACKING_LABELS
    )
    return by_label or any(annotation in annotations for annotation in _TRACKING_ANNOTATIONS)


@lru_cache(maxsize=64)
def _moment(timestamp: str) -> datetime:
    # Cached: many objects are created within one second.
    try:
        return datetime.strptime(timestamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=EPOCH.tzinfo)
    except ValueError:
        return EPOCH
