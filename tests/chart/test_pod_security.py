"""The restricted profile of Pod Security on every pod, and more: no needless token, a read-only root."""

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


def test_every_container_has_a_read_only_root_and_somewhere_to_write(rendered: list[Manifest]) -> None:
    for pod in pods(rendered):
        for container in pod.containers():
            assert _context(container).get("readOnlyRootFilesystem") is True, (pod.name, container["name"])
            assert _context(container).get("privileged") in (None, False)


def test_no_pod_has_a_user_of_its_own_if_the_cluster_gives_one(helm: Helm) -> None:
    """As OpenShift does: a pod that asks for a user outside its namespace's range is refused there."""
    rendered = helm.template(CASES["ci/openshift"])
    for pod in pods(rendered):
        contexts = [pod.spec["securityContext"], *map(_context, pod.containers())]
        asked = {key for context in contexts for key in context} & {"runAsUser", "runAsGroup", "fsGroup"}
        assert asked == set(), pod.name


def test_only_what_talks_to_the_api_server_has_a_token(case: str, rendered: list[Manifest]) -> None:
    for pod in pods(rendered):
        if "automount" in set(texts(CASES[case])):
            continue
        if pod.component in _TALKS_TO_THE_API_SERVER:
            continue
        if pod.owner["metadata"].get("annotations", {}).get("helm.sh/hook"):
            continue
        assert pod.spec.get("automountServiceAccountToken") is False, pod.name


def test_operator_and_gateway_have_one(helm: Helm) -> None:
    rendered = helm.template()
    [operator] = components(rendered, "operator")
    assert operator.spec.get("automountServiceAccountToken") is not False
    assert operator.spec["serviceAccountName"] not in ("", "default")


def test_no_environment_of_services_is_put_into_pods(helm: Helm) -> None:
    """A Service called `kelery-api` would give each pod KELERY_API_PORT, which looks like a setting."""
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
