"""Invariants of the rendered objects for every set of values: they are valid and consistent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.chart.cases import CASES
from tests.chart.kubernetes_schemas import RELEASES, faults
from tests.chart.rendered import PodTemplate, leaves, name_of, of_kind, pods, selects, texts
from tests.support.helm import NAMESPACE, Helm, Manifest

_IDENTITY = ("app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component")
_STANDARD = (*_IDENTITY[:2], "app.kubernetes.io/managed-by", "app.kubernetes.io/version")


@pytest.mark.parametrize("release", RELEASES)
def test_kubernetes_knows_every_field(rendered: list[Manifest], release: str) -> None:
    found = {name_of(manifest): faults(manifest, release=release) for manifest in rendered}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_nothing_is_null(rendered: list[Manifest]) -> None:
    """Helm 4 sends null to the API server, which does not always treat it as unset."""
    nulls = {
        name_of(manifest): ".".join(path)
        for manifest in rendered
        for path, value in leaves(manifest)
        if value is None or (isinstance(value, list) and None in value)
    }
    assert nulls == {}


def test_no_object_is_rendered_twice(rendered: list[Manifest]) -> None:
    identities = Counter(
        (manifest["apiVersion"].rpartition("/")[0], name_of(manifest), manifest["metadata"].get("namespace"))
        for manifest in rendered
    )
    assert [identity for identity, count in identities.items() if count > 1] == []


def test_names_are_short_enough_for_labels(rendered: list[Manifest]) -> None:
    own = [name for manifest in rendered if len(name := manifest["metadata"]["name"]) > 63]
    assert own == []


def test_every_object_has_the_standard_labels(helm: Helm, case: str) -> None:
    rendered = helm.template({**CASES[case], "extraObjects": []})
    bare = {
        name_of(manifest): missing
        for manifest in rendered
        if (missing := set(_STANDARD) - set(manifest["metadata"].get("labels") or {}))
    }
    assert bare == {}


def test_every_workload_selects_its_pods_by_identity_labels_only(rendered: list[Manifest]) -> None:
    for manifest in of_kind(rendered, "Deployment", "StatefulSet"):
        [pod] = pods([manifest])
        selector = manifest["spec"]["selector"]
        assert set(selector) == {"matchLabels"}
        assert selects(selector, pod.labels), f"{pod.name} does not select its own pods"
        pool = {"kelery.dev/pool"} if pod.component == "worker" else set()
        assert set(selector["matchLabels"]) == {*_IDENTITY, *pool}, pod.name


def test_workloads_do_not_select_other_pods(rendered: list[Manifest]) -> None:
    for manifest in of_kind(rendered, "Deployment", "StatefulSet"):
        selector = manifest["spec"]["selector"]
        assert [pod.name for pod in pods(rendered) if selects(selector, pod.labels)] == [name_of(manifest)]


def test_services_target_ports_of_one_workload(rendered: list[Manifest]) -> None:
    for service in of_kind(rendered, "Service"):
        reached = [pod for pod in pods(rendered) if selects(_labels(service["spec"]["selector"]), pod.labels)]
        assert len(reached) == 1, f"{name_of(service)} targets {[pod.name for pod in reached]}"
        targets = {port["targetPort"] for port in service["spec"]["ports"]}
        assert targets <= _ports(reached[0]), name_of(service)


def test_budgets_policies_and_monitors_select_something(rendered: list[Manifest]) -> None:
    every = [pod.labels for pod in pods(rendered)]
    front = [service["metadata"]["labels"] for service in of_kind(rendered, "Service")]
    selecting = [
        *((budget, budget["spec"]["selector"], every) for budget in of_kind(rendered, "PodDisruptionBudget")),
        *((policy, policy["spec"]["podSelector"], every) for policy in of_kind(rendered, "NetworkPolicy")),
        *((monitor, monitor["spec"]["selector"], every) for monitor in of_kind(rendered, "PodMonitor")),
        *((monitor, monitor["spec"]["selector"], front) for monitor in of_kind(rendered, "ServiceMonitor")),
    ]
    assert [name_of(it) for it, selector, among in selecting if not _any(selector, among)] == []


def test_every_pod_is_covered_by_a_network_policy(case: str, rendered: list[Manifest]) -> None:
    if CASES[case].get("networkPolicy", {}).get("enabled") is False:
        assert of_kind(rendered, "NetworkPolicy") == []
        return
    policies = [policy["spec"] for policy in of_kind(rendered, "NetworkPolicy")]
    covering = [policy["podSelector"] for policy in policies if "Ingress" in policy["policyTypes"]]
    workloads = [pod for pod in pods(rendered) if pod.owner["kind"] in ("Deployment", "StatefulSet")]
    open_to_all = [
        pod.name for pod in workloads if not any(selects(selector, pod.labels) for selector in covering)
    ]
    assert open_to_all == []


def test_autoscaled_workloads_have_no_replicas(rendered: list[Manifest]) -> None:
    workloads = {name_of(manifest): manifest for manifest in of_kind(rendered, "Deployment", "StatefulSet")}
    scaled = [
        f"{target.get('kind', 'Deployment')}/{target['name']}"
        for scaler in of_kind(rendered, "HorizontalPodAutoscaler", "ScaledObject")
        for target in [scaler["spec"]["scaleTargetRef"]]
    ]
    assert len(scaled) == len(set(scaled)), "two autoscalers of one workload"
    for name, manifest in workloads.items():
        assert ("replicas" in manifest["spec"]) == (name not in scaled), name
    assert set(scaled) <= set(workloads)


def test_lists_merged_by_key_have_unique_keys(rendered: list[Manifest]) -> None:
    doubled = [(pod.name, where) for pod in pods(rendered) for where in _doubled(pod)]
    assert doubled == []


def test_objects_that_a_pod_names_exist(case: str, rendered: list[Manifest]) -> None:
    # Objects that the values name are the user's own.
    brought = set(texts(CASES[case]))
    made = {name_of(manifest) for manifest in rendered}
    for pod in pods(rendered):
        volumes = {volume["name"] for volume in pod.spec.get("volumes") or ()}
        volumes |= {
            claim["metadata"]["name"] for claim in pod.owner["spec"].get("volumeClaimTemplates") or ()
        }
        mounts = {m["name"] for c in pod.containers() for m in c.get("volumeMounts") or ()}
        assert mounts <= volumes, pod.name
        named = {name for name in _named(pod) if name.partition("/")[2] not in brought}
        assert named <= made, f"{pod.name} names objects that do not exist"


def test_only_roles_are_rendered_into_other_namespaces(case: str, rendered: list[Manifest]) -> None:
    watched = CASES[case].get("scope", {}).get("namespaces", [])
    there = {manifest["metadata"].get("namespace", NAMESPACE) for manifest in rendered}
    assert there <= {NAMESPACE, *watched}
    assert {name_of(m).partition("/")[0] for m in rendered if m["metadata"].get("namespace") in watched} <= {
        "Role",
        "RoleBinding",
    }


def _labels(match: Mapping[str, str]) -> dict[str, Any]:
    return {"matchLabels": match}


def _any(selector: Mapping[str, Any], among: list[Mapping[str, str]]) -> bool:
    return any(selects(selector, labels) for labels in among)


def _ports(pod: PodTemplate) -> set[str | int]:
    ports = [port for container in pod.containers() for port in container.get("ports") or ()]
    return {port["name"] for port in ports} | {port["containerPort"] for port in ports}


def _doubled(pod: PodTemplate) -> Iterator[str]:
    keys = {"env": "name", "volumeMounts": "mountPath", "ports": "containerPort"}
    yield from _repeated("volumes", [volume["name"] for volume in pod.spec.get("volumes") or ()])
    yield from _repeated("containers", [container["name"] for container in pod.containers()])
    for container in pod.containers():
        for list_name, key in keys.items():
            entries = [entry[key] for entry in container.get(list_name) or ()]
            yield from _repeated(f"{container['name']}.{list_name}", entries)


def _repeated(where: str, entries: list[object]) -> Iterator[str]:
    for entry, count in Counter(entries).items():
        if count > 1:
            yield f"{where}: {entry}"


def _named(pod: PodTemplate) -> Iterator[str]:
    """The other objects that a pod needs to start."""
    if "serviceAccountName" in pod.spec and pod.spec["serviceAccountName"] != "default":
        yield f"ServiceAccount/{pod.spec['serviceAccountName']}"
    for volume in pod.spec.get("volumes") or ():
        if "secret" in volume:
            yield f"Secret/{volume['secret']['secretName']}"
        if "configMap" in volume:
            yield f"ConfigMap/{volume['configMap']['name']}"
        if "persistentVolumeClaim" in volume:
            yield f"PersistentVolumeClaim/{volume['persistentVolumeClaim']['claimName']}"
    for container in pod.containers():
        for entry in container.get("env") or ():
            source = entry.get("valueFrom") or {}
            if "secretKeyRef" in source:
                yield f"Secret/{source['secretKeyRef']['name']}"
            if "configMapKeyRef" in source:
                yield f"ConfigMap/{source['configMapKeyRef']['name']}"
