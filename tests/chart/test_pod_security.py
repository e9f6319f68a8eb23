"""Every pod meets the restricted Pod Security Standard, and has no unneeded token and a read-only root."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.chart.cases import CASES
from tests.chart.rendered import PodTemplate, components, pods, texts
from tests.support.helm import Helm, Manifest

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}
_TALKS_TO_THE_API_SERVER = {"operator", "api", "gateway"}


def test_every_pod_is_restricted(rendered: list[Manifest]) -> None:
    found = {pod.name: _breaches(pod) for pod in pods(rendered)}
    assert {name: breaches for name, breaches in found.items() if breaches} == {}


def test_every_container_has_a_read_only_root(rendered: list[Manifest]) -> None:
    for pod in pods(rendered):
        for container in pod.containers():
            assert _context(container).get("readOnlyRootFilesystem") is True, (pod.name, container["name"])
            assert _context(container).get("privileged") in (None, False)


def test_no_pod_sets_a_user_if_the_cluster_assigns_one(helm: Helm) -> None:
    """OpenShift rejects a pod that asks for a user outside the range of its namespace."""
    rendered = helm.template(CASES["ci/openshift"])
    for pod in pods(rendered):
        contexts = [pod.spec["securityContext"], *map(_context, pod.containers())]
        asked = {key for context in contexts for key in context} & {"runAsUser", "runAsGroup", "fsGroup"}
        assert asked == set(), pod.name


def test_only_pods_that_use_the_api_server_have_a_token(case: str, rendered: list[Manifest]) -> None:
    for pod in pods(rendered):
        if "automount" in set(texts(CASES[case])):
            continue
        if pod.component in _TALKS_TO_THE_API_SERVER:
            continue
        if pod.owner["metadata"].get("annotations", {}).get("helm.sh/hook"):
            continue
        assert pod.spec.get("automountServiceAccountToken") is False, pod.name


def test_the_operator_has_a_token(helm: Helm) -> None:
    rendered = helm.template()
    [operator] = components(rendered, "operator")
    assert operator.spec.get("automountServiceAccountToken") is not False
    assert operator.spec["serviceAccountName"] not in ("", "default")


def test_service_links_are_disabled(helm: Helm) -> None:
    """A Service called `kelery-api` would add KELERY_API_PORT to each pod, which looks like a setting."""
    for pod in pods(helm.template()):
        assert pod.spec.get("enableServiceLinks") is False, pod.name


def _context(container: Mapping[str, Any]) -> Mapping[str, Any]:
    return container.get("securityContext") or {}


def _breaches(pod: PodTemplate) -> list[str]:
    found = [f"spec.{field}" for field in ("hostNetwork", "hostPID", "hostIPC") if pod.spec.get(field)]
    own = pod.spec.get("securityContext") or {}
    for volume in pod.spec.get("volumes") or ():
        found += [f"volume {volume['name']}: {kind}" for kind in set(volume) - {"name"} - _VOLUMES]
    for container in pod.containers():
        context, name = _context(container), container["name"]
        effective = {**own, **context}
        if effective.get("runAsNonRoot") is not True:
            found.append(f"{name}: runAsNonRoot")
        if effective.get("runAsUser") == 0:
            found.append(f"{name}: runAsUser 0")
        if effective.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            found.append(f"{name}: seccompProfile")
        if context.get("allowPrivilegeEscalation") is not False:
            found.append(f"{name}: allowPrivilegeEscalation")
        capabilities = context.get("capabilities") or {}
        if "ALL" not in (capabilities.get("drop") or ()):
            found.append(f"{name}: capabilities are not dropped")
        if set(capabilities.get("add") or ()) - {"NET_BIND_SERVICE"}:
            found.append(f"{name}: capabilities are added")
        found += [f"{name}: hostPort" for port in container.get("ports") or () if port.get("hostPort")]
    return found
