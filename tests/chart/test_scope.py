"""Whose rights: nothing for the whole cluster where the chart serves some namespaces only; never a Secret."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.cases import CASES
from tests.chart.rendered import components, name_of, of_kind, pods
from tests.support.helm import NAMESPACE, Helm, Manifest

#: What docs/reference/operator.md and docs/reference/rest-api.md say that they need.
OPERATOR_RULES = {("kelery.dev", "taskruns", verb) for verb in ("get", "list", "watch", "delete")} | {
    ("kelery.dev", "taskruns/status", "patch")
}
GATEWAY_RULES = {("kelery.dev", "taskruns", "delete")}
_CLUSTER_SCOPED = ("ClusterRole", "ClusterRoleBinding")


def test_namespaces_mode_renders_no_cluster_role(helm: Helm) -> None:
    rendered = helm.template(CASES["namespaces-without-reviews"])
    assert of_kind(rendered, *_CLUSTER_SCOPED) == []


def test_namespaces_mode_with_reviews_has_the_one_binding_that_was_asked_for(helm: Helm) -> None:
    rendered = helm.template(CASES["namespaces"])
    assert of_kind(rendered, "ClusterRole") == []
    [binding] = of_kind(rendered, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == "system:auth-delegator"


def test_namespaces_mode_gives_the_operator_its_rights_in_each_of_them(helm: Helm) -> None:
    rendered = helm.template(CASES["namespaces"])
    [operator] = components(rendered, "operator")
    for namespace in ("team-a", "team-b"):
        assert _granted(rendered, operator.spec["serviceAccountName"], namespace=namespace) == OPERATOR_RULES


def test_namespaces_mode_tells_the_operator_whom_it_serves_and_what_cluster_it_is(helm: Helm) -> None:
    """It may not read the namespace kube-system, whose uid the cluster's id is otherwise."""
    for case, served in (("namespaces", "team-a,team-b"), ("namespaces-without-reviews", NAMESPACE)):
        [operator] = components(helm.template(CASES[case]), "operator")
        variables = operator.variables()
        assert variables["KELERY_NAMESPACES"] == served
        assert variables["KELERY_CLUSTER_ID"]


def test_two_releases_in_namespaces_mode_have_ids_of_their_own(helm: Helm) -> None:
    ids = set()
    for namespace in ("one", "two"):
        rendered = helm.template(CASES["namespaces-without-reviews"], namespace=namespace)
        [operator] = components(rendered, "operator")
        ids.add(operator.variables()["KELERY_CLUSTER_ID"])
    assert len(ids) == 2


def test_cluster_mode_grants_what_is_needed_and_no_more(helm: Helm) -> None:
    rendered = helm.template()
    [operator], [gateway] = components(rendered, "operator"), components(rendered, "api")
    own = {("", "namespaces", "get")}
    assert _granted(rendered, operator.spec["serviceAccountName"]) == OPERATOR_RULES | own
    assert _granted(rendered, gateway.spec["serviceAccountName"]) == GATEWAY_RULES


def test_the_namespace_that_the_operator_may_read_is_kube_system_alone(helm: Helm) -> None:
    rules = [
        rule for role in of_kind(helm.template(), "ClusterRole", "Role") for rule in role.get("rules") or ()
    ]
    assert [r["resourceNames"] for r in rules if "namespaces" in r["resources"]] == [["kube-system"]]
    known = helm.template(CASES["cluster-id"])
    rules = [rule for role in of_kind(known, "ClusterRole", "Role") for rule in role.get("rules") or ()]
    assert [rule for rule in rules if "namespaces" in rule["resources"]] == []


def test_nobody_is_given_secrets_or_everything(rendered: list[Manifest]) -> None:
    for role in of_kind(rendered, "ClusterRole", "Role"):
        for rule in role.get("rules") or ():
            words = {*rule.get("apiGroups", ()), *rule.get("resources", ()), *rule["verbs"]}
            assert "*" not in words, name_of(role)
            assert not words & {"secrets", "pods/exec", "escalate", "bind", "impersonate"}, name_of(role)


def test_without_rbac_there_is_none(helm: Helm) -> None:
    rendered = [m for m in helm.template(CASES["no-rbac"]) if not _of_the_test(m)]
    assert of_kind(rendered, "Role", "RoleBinding", *_CLUSTER_SCOPED) == []


def test_bindings_name_roles_and_accounts_that_are_there(case: str, rendered: list[Manifest]) -> None:
    made = {name_of(manifest) for manifest in rendered}
    for binding in of_kind(rendered, "RoleBinding", "ClusterRoleBinding"):
        role = binding["roleRef"]
        assert f"{role['kind']}/{role['name']}" in made or role["name"].startswith("system:")
        for subject in binding["subjects"]:
            assert subject["namespace"] == NAMESPACE
            assert f"ServiceAccount/{subject['name']}" in made or case == "own-accounts"


def test_the_clusters_roles_get_rights_on_task_runs_only_if_they_may(helm: Helm) -> None:
    def aggregated(values: dict[str, Any]) -> set[str]:
        prefix = "rbac.authorization.k8s.io/aggregate-to-"
        labels = [role["metadata"]["labels"] for role in of_kind(helm.template(values), "ClusterRole")]
        return {key.removeprefix(prefix) for own in labels for key in own if key.startswith(prefix)}

    assert aggregated({}) == {"view", "edit", "admin"}
    assert aggregated(CASES["no-aggregation"]) == set()


@pytest.mark.parametrize("account", ["mine", "mine-too"])
def test_accounts_of_ones_own_are_bound_and_not_made(helm: Helm, account: str) -> None:
    rendered = helm.template(CASES["own-accounts"])
    assert f"ServiceAccount/{account}" not in {name_of(manifest) for manifest in rendered}
    assert account in {pod.spec.get("serviceAccountName") for pod in pods(rendered)}
    bound = [s["name"] for b in of_kind(rendered, "RoleBinding", "ClusterRoleBinding") for s in b["subjects"]]
    assert account in bound


def _of_the_test(manifest: Manifest) -> bool:
    """It is made when somebody types `helm test`, and not before."""
    return "helm.sh/hook" in (manifest["metadata"].get("annotations") or {})


def _granted(rendered: list[Manifest], account: str, *, namespace: str = "") -> set[tuple[str, str, str]]:
    """Group, resource and verb of all that the account's roles name; with a namespace, of its Roles there."""
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
