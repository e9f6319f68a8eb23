"""Permissions: none cluster-wide in a release for namespaces, and never on Secrets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.cases import CASES
from tests.chart.rendered import components, name_of, of_kind, pods
from tests.support.helm import NAMESPACE, Helm, Manifest

#: The permissions that docs/reference/operator.md and docs/reference/rest-api.md list.
OPERATOR_RULES = {("kelery.dev", "taskruns", verb) for verb in ("get", "list", "watch", "delete")} | {
    ("kelery.dev", "taskruns/status", "patch")
}
GATEWAY_RULES = {("kelery.dev", "taskruns", "delete")}
_CLUSTER_SCOPED = ("ClusterRole", "ClusterRoleBinding")


def test_namespaces_mode_renders_no_cluster_role(helm: Helm) -> None:
    rendered = helm.template(CASES["namespaces-without-reviews"])
    assert of_kind(rendered, *_CLUSTER_SCOPED) == []


def test_namespaces_mode_with_reviews_has_one_cluster_role_binding(helm: Helm) -> None:
    rendered = helm.template(CASES["namespaces"])
    assert of_kind(rendered, "ClusterRole") == []
    [binding] = of_kind(rendered, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == "system:auth-delegator"


def test_namespaces_mode_grants_the_operator_permissions_in_each_namespace(helm: Helm) -> None:
    rendered = helm.template(CASES["namespaces"])
    [operator] = components(rendered, "operator")
    for namespace in ("team-a", "team-b"):
        assert _granted(rendered, operator.spec["serviceAccountName"], namespace=namespace) == OPERATOR_RULES


def test_namespaces_mode_sets_the_operators_namespaces_and_cluster_id(helm: Helm) -> None:
    """The operator cannot read kube-system there, whose uid is the cluster's id by default."""
    for case, served in (("namespaces", "team-a,team-b"), ("namespaces-without-reviews", NAMESPACE)):
        [operator] = components(helm.template(CASES[case]), "operator")
        variables = operator.variables()
        assert variables["KELERY_NAMESPACES"] == served
        assert variables["KELERY_CLUSTER_ID"]


def test_two_releases_in_namespaces_mode_have_different_cluster_ids(helm: Helm) -> None:
    ids = set()
    for namespace in ("one", "two"):
        rendered = helm.template(CASES["namespaces-without-reviews"], namespace=namespace)
        [operator] = components(rendered, "operator")
        ids.add(operator.variables()["KELERY_CLUSTER_ID"])
    assert len(ids) == 2


def test_cluster_mode_grants_only_the_needed_permissions(helm: Helm) -> None:
    rendered = helm.template()
    [operator], [gateway] = components(rendered, "operator"), components(rendered, "api")
    own = {("", "namespaces", "get")}
    assert _granted(rendered, operator.spec["serviceAccountName"]) == OPERATOR_RULES | own
    assert _granted(rendered, gateway.spec["serviceAccountName"]) == GATEWAY_RULES


def test_the_operator_can_read_only_the_namespace_kube_system(helm: Helm) -> None:
    rules = [
        rule for role in of_kind(helm.template(), "ClusterRole", "Role") for rule in role.get("rules") or ()
    ]
    assert [r["resourceNames"] for r in rules if "namespaces" in r["resources"]] == [["kube-system"]]
    known = helm.template(CASES["cluster-id"])
    rules = [rule for role in of_kind(known, "ClusterRole", "Role") for rule in role.get("rules") or ()]
    assert [rule for rule in rules if "namespaces" in rule["resources"]] == []


def test_no_role_grants_secrets_or_wildcards(rendered: list[Manifest]) -> None:
    for role in of_kind(rendered, "ClusterRole", "Role"):
        for rule in role.get("rules") or ():
            words = {*rule.get("apiGroups", ()), *rule.get("resources", ()), *rule["verbs"]}
            assert "*" not in words, name_of(role)
            assert not words & {"secrets", "pods/exec", "escalate", "bind", "impersonate"}, name_of(role)


def test_rbac_can_be_disabled(helm: Helm) -> None:
    rendered = [m for m in helm.template(CASES["no-rbac"]) if not _of_the_test(m)]
    assert of_kind(rendered, "Role", "RoleBinding", *_CLUSTER_SCOPED) == []


def test_bindings_name_existing_roles_and_accounts(case: str, rendered: list[Manifest]) -> None:
    made = {name_of(manifest) for manifest in rendered}
    for binding in of_kind(rendered, "RoleBinding", "ClusterRoleBinding"):
        role = binding["roleRef"]
        assert f"{role['kind']}/{role['name']}" in made or role["name"].startswith("system:")
        for subject in binding["subjects"]:
            assert subject["namespace"] == NAMESPACE
            assert f"ServiceAccount/{subject['name']}" in made or case == "own-accounts"


def test_aggregation_to_the_clusters_roles_can_be_disabled(helm: Helm) -> None:
    def aggregated(values: dict[str, Any]) -> set[str]:
        prefix = "rbac.authorization.k8s.io/aggregate-to-"
        labels = [role["metadata"]["labels"] for role in of_kind(helm.template(values), "ClusterRole")]
        return {key.removeprefix(prefix) for own in labels for key in own if key.startswith(prefix)}

    assert aggregated({}) == {"view", "edit", "admin"}
    assert aggregated(CASES["no-aggregation"]) == set()


@pytest.mark.parametrize("account", ["mine", "mine-too"])
def test_the_users_own_accounts_are_bound_and_not_created(helm: Helm, account: str) -> None:
    rendered = helm.template(CASES["own-accounts"])
    assert f"ServiceAccount/{account}" not in {name_of(manifest) for manifest in rendered}
    assert account in {pod.spec.get("serviceAccountName") for pod in pods(rendered)}
    bound = [s["name"] for b in of_kind(rendered, "RoleBinding", "ClusterRoleBinding") for s in b["subjects"]]
    assert account in bound


def _of_the_test(manifest: Manifest) -> bool:
    """Whether the object is a hook of `helm test`."""
    return "helm.sh/hook" in (manifest["metadata"].get("annotations") or {})


def _granted(rendered: list[Manifest], account: str, *, namespace: str = "") -> set[tuple[str, str, str]]:
    """Group, resource and verb of each permission of the account; with a namespace, of its Roles there."""
    found: set[tuple[str, str, str]] = set()
    for binding in of_kind(rendered, "RoleBinding", "ClusterRoleBinding"):
        if account not in [subject["name"] for subject in binding["subjects"]]:
            continue
        if namespace and binding["metadata"].get("namespace") != namespace:
            continue
        for role in of_kind(rendered, binding["roleRef"]["kind"]):
            if role["metadata"]["name"] != binding["roleRef"]["name"]:
                continue
            if role["metadata"].get("namespace") != binding["metadata"].get("namespace"):
                continue
            for rule in role["rules"]:
                found |= {
                    (g, r, v) for g in rule["apiGroups"] for r in rule["resources"] for v in rule["verbs"]
                }
    return found
