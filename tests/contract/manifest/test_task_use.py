"""The right to run a task: checked with RBAC in namespaces that require it, not checked elsewhere.

RBAC and the service accounts are real.
"""

from collections.abc import Callable

import pytest

from kelery.kube.sync_session import SyncSession
from kelery_dev.control_plane import manifests
from tests.contract.manifest.taskruns_over_http import TaskRuns
from tests.contract.manifest.until_in_force import ask_until
from tests.support.cluster import with_credentials

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_LABEL = "kelery.dev/require-task-use"

NewNamespace = Callable[[dict[str, str]], str]
Rule = dict[str, list[str]]

_CREATE: Rule = {"apiGroups": ["kelery.dev"], "resources": ["taskruns"], "verbs": ["create", "get", "patch"]}


def _use(*tasks: str) -> Rule:
    return {
        "apiGroups": ["kelery.dev"],
        "resources": ["tasks"],
        "verbs": ["use"],
        "resourceNames": list(tasks),
    }


def _post(access: SyncSession, *, path: str, body: dict[str, object]) -> dict[str, object]:
    answer = access.request("POST", path=path, body=body)
    assert answer.status == 201, answer.message
    return dict(answer.body)


def _service_account(access: SyncSession, *, namespace: str, rules: list[Rule]) -> TaskRuns:
    """A new service account with these rights in the namespace, and its access to the TaskRuns there."""
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    metadata = {"name": "user", "namespace": namespace}
    _post(access, path=accounts, body={"metadata": metadata})
    answer = access.request("POST", path=f"{accounts}/user/token", body={"spec": {}})
    assert answer.status == 201, answer.message
    token = answer.body["status"]["token"]
    _post(access, path=f"{_RBAC}/namespaces/{namespace}/roles", body={"metadata": metadata, "rules": rules})
    _post(
        access,
        path=f"{_RBAC}/namespaces/{namespace}/rolebindings",
        body={
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "user"},
            "subjects": [{"kind": "ServiceAccount", **metadata}],
        },
    )
    return TaskRuns(access=with_credentials(access, token=token), namespace=namespace)


@pytest.fixture(scope="module")
def user(access: SyncSession, new_namespace: NewNamespace) -> TaskRuns:
    """May create TaskRuns and use two tasks, in a namespace that requires the right."""
    namespace = new_namespace({_LABEL: "true"})
    rules = [_CREATE, _use("demo.add", "проект.задача")]
    user = _service_account(access, namespace=namespace, rules=rules)
    ask_until(lambda: user.try_create({"task": "demo.add"}), status=201)
    ask_until(lambda: user.try_create({"task": "demo.fail"}), status=403)
    return user


@pytest.mark.parametrize("task", ["demo.add", "проект.задача"])
def test_a_task_with_the_right_to_use_it_is_accepted(user: TaskRuns, task: str) -> None:
    answer = user.try_create({"task": task})
    assert answer.status == 201, answer.message


@pytest.mark.parametrize("task", ["demo.fail", "demo.add2", "demo", "demo.*", "*"])
def test_a_task_without_the_right_to_use_it_is_refused_by_name(user: TaskRuns, task: str) -> None:
    answer = user.try_create({"task": task})
    assert answer.status == 403, answer.body
    assert (
        f"spec.task: you are not allowed to run the task {task} in the namespace {user.namespace}"
        in answer.message
    )
    assert f"use on tasks.kelery.dev/{task}" in answer.message


def test_cancelling_takes_no_right_to_use_the_task(access: SyncSession, user: TaskRuns) -> None:
    administrator = TaskRuns(access=access, namespace=user.namespace)
    name = administrator.create({"task": "demo.fail"})["metadata"]["name"]
    answer = user.patch(name, merge={"spec": {"cancel": "Graceful"}})
    assert answer.status == 200, answer.message


@pytest.mark.parametrize("labels", [{}, {_LABEL: "false"}, {_LABEL: ""}], ids=["none", "false", "empty"])
def test_a_namespace_without_the_label_asks_for_no_right(
    access: SyncSession, new_namespace: NewNamespace, user: TaskRuns, labels: dict[str, str]
) -> None:
    """The fixture `user` ensures that the policy is in force."""
    other = _service_account(access, namespace=new_namespace(labels), rules=[_CREATE])
    answer = ask_until(lambda: other.try_create({"task": "demo.fail"}), status=201)
    assert answer.body["spec"]["task"] == "demo.fail"


def test_a_namespace_that_gets_the_label_later_asks_from_then_on(
    access: SyncSession, new_namespace: NewNamespace
) -> None:
    namespace = new_namespace({})
    other = _service_account(access, namespace=namespace, rules=[_CREATE])
    ask_until(lambda: other.try_create({"task": "demo.add"}), status=201)
    answer = access.request(
        "PATCH",
        path=f"/api/v1/namespaces/{namespace}",
        body={"metadata": {"labels": {_LABEL: "true"}}},
        content_type="application/merge-patch+json",
    )
    assert answer.status == 200, answer.message
    ask_until(lambda: other.try_create({"task": "demo.add"}), status=403)


def test_a_binding_without_a_selector_asks_everywhere(
    access: SyncSession, new_namespace: NewNamespace
) -> None:
    other = _service_account(access, namespace=new_namespace({}), rules=[_CREATE, _use("demo.add")])
    ask_until(lambda: other.try_create({"task": "demo.fail"}), status=201)
    (binding,) = manifests.manifests(subfolder="policy-everywhere")
    manifests.apply(access, manifest=binding)
    try:
        ask_until(lambda: other.try_create({"task": "demo.fail"}), status=403)
        assert other.try_create({"task": "demo.add"}).status == 201
    finally:
        path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
        answer = access.request("DELETE", path=f"{path}/{binding['metadata']['name']}")
        assert answer.status == 200, answer.message
    ask_until(lambda: other.try_create({"task": "demo.fail"}), status=201)
