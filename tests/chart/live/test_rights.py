"""Permissions according to the API server: the operator and the gateway have only those that they need."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.cases import CASES
from tests.chart.live_release import LiveRelease
from tests.support.polling import poll_until

_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
Question = tuple[str, str, str, str]

OPERATOR_NEEDS: list[Question] = [
    *((verb, "kelery.dev", "taskruns", "") for verb in ("get", "list", "watch", "delete")),
    ("patch", "kelery.dev", "taskruns/status", ""),
    ("get", "", "namespaces", "kube-system"),
]
GATEWAY_NEEDS: list[Question] = [
    ("delete", "kelery.dev", "taskruns", ""),
    ("create", "authentication.k8s.io", "tokenreviews", ""),
    ("create", "authorization.k8s.io", "subjectaccessreviews", ""),
]
NOBODY_NEEDS: list[Question] = [
    *((verb, "", "secrets", "") for verb in ("get", "list", "watch", "create", "patch", "delete")),
    *((verb, "", "configmaps", "") for verb in ("get", "list", "patch")),
    *((verb, "", "pods", "") for verb in ("get", "list", "create", "delete")),
    ("create", "", "pods/exec", ""),
    ("create", "", "serviceaccounts/token", ""),
    ("list", "", "namespaces", ""),
    ("get", "", "namespaces", "default"),
    ("patch", "apps", "deployments", ""),
    ("create", "kelery.dev", "taskruns", ""),
    ("update", "kelery.dev", "taskruns/status", ""),
    ("patch", "kelery.dev", "taskruns", ""),
    ("use", "kelery.dev", "tasks", "demo.add"),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings", ""),
    ("impersonate", "", "users", ""),
]


def _may(release: LiveRelease, account: str, question: Question, *, namespace: str = "") -> bool:
    verb, group, resource, name = question
    plural, _, subresource = resource.partition("/")
    attributes = {
        "verb": verb, "group": group, "resource": plural, "subresource": subresource, "name": name,
        "namespace": namespace,
    }  # fmt: skip
    body: dict[str, Any] = {
        "spec": {
            "user": f"system:serviceaccount:{release.namespace}:{account}",
            "groups": [
                "system:serviceaccounts",
                f"system:serviceaccounts:{release.namespace}",
                "system:authenticated",
            ],
            "resourceAttributes": attributes,
        }
    }
    answer = release.plane.access().request("POST", path=_REVIEWS, body=body)
    assert answer.status == 201, answer.message
    return bool(answer.body["status"]["allowed"])


def _wait_until_allowed(
    release: LiveRelease, account: str, questions: list[Question], *, namespace: str = ""
) -> None:
    """The API server needs a moment to apply a new binding."""

    def missing() -> list[Question]:
        return [
            question for question in questions if not _may(release, account, question, namespace=namespace)
        ]

    poll_until(lambda: not missing(), seconds=20, what=f"the rights of {account}", state=missing)


def _account(release: LiveRelease, deployment: str) -> str:
    return str(release.one("deployment", deployment)["spec"]["template"]["spec"]["serviceAccountName"])


@pytest.mark.parametrize(
    ("deployment", "needs"),
    [("kelery-operator", OPERATOR_NEEDS), ("kelery-api", GATEWAY_NEEDS)],
    ids=["operator", "gateway"],
)
def test_in_cluster_mode_each_has_only_its_permissions(
    release: LiveRelease, deployment: str, needs: list[Question]
) -> None:
    release.install()
    account = _account(release, deployment)
    _wait_until_allowed(release, account, needs)
    others = {question for list_ in (OPERATOR_NEEDS, GATEWAY_NEEDS) for question in list_} - set(needs)
    assert [question for question in {*NOBODY_NEEDS, *others} if _may(release, account, question)] == []


def test_in_namespaces_mode_the_operator_has_no_permission_elsewhere(release: LiveRelease) -> None:
    release.install(CASES["namespaces-without-reviews"])
    account = _account(release, "kelery-operator")
    on_runs = [question for question in OPERATOR_NEEDS if question[1] == "kelery.dev"]
    _wait_until_allowed(release, account, on_runs, namespace=release.namespace)
    assert [q for q in on_runs if _may(release, account, q, namespace="default")] == []
    assert [q for q in on_runs if _may(release, account, q)] == []
    assert not _may(release, account, ("get", "", "namespaces", "kube-system"))
    assert [q for q in NOBODY_NEEDS if _may(release, account, q, namespace=release.namespace)] == []


def test_workers_have_no_permission(release: LiveRelease) -> None:
    release.install()
    pod = release.one("deployment", "kelery-worker-default")["spec"]["template"]["spec"]
    account = pod.get("serviceAccountName", "default")
    assert [q for q in {*NOBODY_NEEDS, *OPERATOR_NEEDS, *GATEWAY_NEEDS} if _may(release, account, q)] == []
