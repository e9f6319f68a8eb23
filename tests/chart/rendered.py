"""Read rendered objects: names, pods, containers, and the selectors that match them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.helm import Manifest

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodTemplate:
    """A pod template and the object that contains it."""

    owner: Manifest
    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]

    @property
    def name(self) -> str:
        return name_of(self.owner)

    @property
    def labels(self) -> Mapping[str, str]:
        return self.metadata.get("labels") or {}

    @property
    def component(self) -> str:
        return self.labels.get("app.kubernetes.io/component", "")

    def containers(self) -> list[Mapping[str, Any]]:
        """All containers, including init containers."""
        return [*(self.spec.get("initContainers") or ()), *self.spec["containers"]]

    def variables(self) -> dict[str, Any]:
        """The environment of the main container: the value, or its source."""
        entries = self.spec["containers"][0].get("env") or ()
        return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}


def name_of(manifest: Manifest) -> str:
    """Kind and name, such as `Deployment/kelery-api`."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def of_kind(manifests: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    """The objects of these kinds."""
    return [manifest for manifest in manifests if manifest["kind"] in kinds]


def pods(manifests: Iterable[Manifest]) -> Iterator[PodTemplate]:
    """The template of every pod that these objects create."""
    for manifest in manifests:
        if manifest["kind"] == "Pod":
            yield PodTemplate(owner=manifest, metadata=manifest["metadata"], spec=manifest["spec"])
        elif manifest["kind"] in WORKLOADS:
            template = manifest["spec"]["template"]
            yield PodTemplate(owner=manifest, metadata=template["metadata"], spec=template["spec"])


def components(manifests: Iterable[Manifest], component: str) -> list[PodTemplate]:
    """The pods of one component, without those of `helm test`."""
    return [
        pod for pod in pods(manifests) if pod.component == component and pod.owner["kind"] in WORKLOADS[:2]
    ]


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches these labels."""
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for rule in selector.get("matchExpressions") or ():
        value, among = labels.get(rule["key"]), rule.get("values") or ()
        verdicts = {
            "In": value in among,
            "NotIn": value not in among,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not verdicts[rule["operator"]]:
            return False
    return True


def leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], object]]:
    """Every value that is not a map, and every empty map, with its path."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


def texts(value: object) -> Iterator[str]:
    """Every string in a value, including keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from texts(key)
            yield from texts(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from texts(inner)
