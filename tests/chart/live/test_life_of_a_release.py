"""Install, upgrade, roll back, uninstall, reinstall: the objects in the API server after each step."""

from __future__ import annotations

import json
from textwrap import dedent
from typing import Any

import pytest

from tests.chart.cases import CASES
from tests.chart.live_release import LiveRelease
from tests.support.polling import poll_until

CRD = "taskruns.kelery.dev"
#: Applied in this order. Each creates, changes or removes objects in a different way.
UPGRADES = [
    "crds-annotated",
    "task-use-everywhere",
    "no-policy",
    "namespaces-without-reviews",
    "broker-url",
    "broker-tls",
    "redis-existing-secret",
    "no-gateway",
    "no-operator",
    "no-workers",
    "nulls",
    "ci/openshift",
    "ingress",
    "gateway-hpa",
    "gateway-loadbalancer",
    "workers-hpa",
    "own-image-by-digest",
    "code-inline",
    "network-policy-narrow",
    "worker-budgets",
    "no-rbac",
    "own-accounts",
    "common-metadata",
    "pod-common",
    "extra-objects",
]
#: Cases that remove or add whole kinds of objects.
_WIDEST = [
    "namespaces-without-reviews",
    "broker-tls",
    "no-gateway",
    "no-workers",
    "ci/openshift",
    "workers-hpa",
]
_RUN = {"apiVersion": "kelery.dev/v1alpha1", "kind": "TaskRun", "metadata": {"name": "kept"}}


def _generations(release: LiveRelease) -> dict[str, int]:
    """The generations of the workloads, which grow with each change of a spec."""
    found = release.get("deployments,statefulsets")
    assert found
    return {f"{m['kind']}/{m['metadata']['name']}": m["metadata"]["generation"] for m in found}


def _passwords(release: LiveRelease) -> dict[str, Any]:
    secrets = [m for m in release.get("secrets") if m["type"] == "Opaque"]
    return {m["metadata"]["name"]: m["data"] for m in secrets}


def _cluster_wide(release: LiveRelease) -> list[str]:
    """The names of its ClusterRoles and ClusterRoleBindings."""
    return [
        manifest["metadata"]["name"]
        for manifest in release.get("clusterroles,clusterrolebindings")
        if (manifest["metadata"].get("annotations") or {}).get("meta.helm.sh/release-namespace")
        == release.namespace
    ]


def _create_run(release: LiveRelease) -> None:
    run = json.dumps({**_RUN, "spec": {"task": "demo.add"}})
    made = release.plane.kubectl("create", "-n", release.namespace, "-f", "-", input=run)
    assert made.returncode == 0, made.stderr


def test_every_rendered_object_exists(release: LiveRelease) -> None:
    release.install()
    listed = release.helm.run("get", "manifest", release.name, "--namespace", release.namespace)
    there = release.plane.kubectl(
        "get", "-n", release.namespace, "-f", "-", "-o", "name", input=listed.stdout
    )
    assert there.returncode == 0, there.stderr
    assert f"customresourcedefinition.apiextensions.k8s.io/{CRD}" in there.stdout
    assert "validatingadmissionpolicy.admissionregistration.k8s.io/taskruns.kelery.dev" in there.stdout
    for manifest in release.get("deployments,statefulsets,services,secrets,serviceaccounts"):
        if manifest["type" if manifest["kind"] == "Secret" else "kind"] == "helm.sh/release.v1":
            continue
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "Helm"


def test_the_run_in_the_notes_is_accepted(release: LiveRelease) -> None:
    release.install()
    notes = release.helm.run("get", "notes", release.name, "--namespace", release.namespace).stdout
    _, _, rest = notes.partition("printf %s '\n")
    text, end, _ = rest.partition("\n    ' | kubectl create -f -\n")
    assert end
    made = release.plane.kubectl("create", "-f", "-", input=dedent(text))
    assert made.returncode == 0, made.stderr
    [run] = release.get("taskruns")
    assert (run["spec"]["task"], run["spec"]["args"]) == ("demo.add", [1, 2])


def test_an_upgrade_that_changes_nothing_restarts_nothing(release: LiveRelease) -> None:
    release.install()
    before, passwords = _generations(release), _passwords(release)
    release.upgrade()
    assert _generations(release) == before
    assert passwords
    assert _passwords(release) == passwords


def test_a_changed_value_restarts_one_component_and_a_rollback_restores_it(release: LiveRelease) -> None:
    release.install()
    before, passwords = _generations(release), _passwords(release)
    release.upgrade({"operator": {"defaultTtlSeconds": 60}})
    changed = {name for name, generation in _generations(release).items() if generation != before[name]}
    assert changed == {"Deployment/kelery-operator"}
    release.rollback()
    [container] = release.one("deployment", "kelery-operator")["spec"]["template"]["spec"]["containers"]
    assert {"name": "KELERY_DEFAULT_TTL_SECONDS", "value": "86400"} in container["env"]
    assert _passwords(release) == passwords


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "cases", [_WIDEST, pytest.param(UPGRADES, marks=pytest.mark.thorough)], ids=["widest", "all"]
)
def test_values_can_change_in_an_installed_release(release: LiveRelease, cases: list[str]) -> None:
    """The API server accepts each of these upgrades, and the way back."""
    release.install()
    passwords = _passwords(release)
    for case in cases:
        release.upgrade(CASES[case])
    release.upgrade()
    assert _passwords(release).keys() == passwords.keys()


def test_uninstall_keeps_crd_runs_and_password_for_the_next_release(
    release: LiveRelease,
) -> None:
    release.install()
    _create_run(release)
    passwords = _passwords(release)
    assert _cluster_wide(release)
    release.uninstall()
    assert release.get("deployments,statefulsets,services,serviceaccounts,configmaps,roles") == []
    assert _cluster_wide(release) == []
    [kept] = release.get("taskruns")
    assert set(_passwords(release)) == {"kelery-valkey"}
    release.install()
    assert release.one("taskrun", "kept")["metadata"]["uid"] == kept["metadata"]["uid"]
    assert _passwords(release) == passwords


def test_uninstall_removes_the_crd_if_keep_is_false(release: LiveRelease) -> None:
    release.install({"crds": {"keep": False}})
    _create_run(release)
    release.uninstall()
    # The API server first deletes the TaskRuns.
    poll_until(lambda: release.get("crd", CRD) == [], seconds=30, every=0.2, what="the end of the CRD")


def test_the_autoscalers_replicas_survive_an_upgrade(release: LiveRelease) -> None:
    values: dict[str, Any] = {"workerDefaults": {"autoscaling": {"type": "hpa", "minReplicas": 2}}}
    release.install(values)
    # Like the autoscaler: with the subresource, and its own field manager.
    scaled = release.plane.kubectl(
        "scale", "deployment", "kelery-worker-default", "-n", release.namespace, "--replicas=7"
    )
    assert scaled.returncode == 0, scaled.stderr
    release.upgrade({**values, "operator": {"defaultTtlSeconds": 60}})
    assert release.one("deployment", "kelery-worker-default")["spec"]["replicas"] == 7


def test_two_releases_of_one_name_can_be_in_two_namespaces(release: LiveRelease) -> None:
    """The first release has the CRD and the policies. No other cluster-wide object must conflict."""
    release.install()
    second = LiveRelease(
        helm=release.helm, plane=release.plane, name=release.name, namespace=f"{release.namespace}-2"
    )
    second.install({"crds": {"enabled": False}, "policy": {"enabled": False}})
    second.uninstall()
    assert release.get("crd", CRD)
