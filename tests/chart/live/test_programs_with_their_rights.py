"""The operator and the gateway as processes, with the account, permissions and settings of a release."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kelery_dev.control_plane.kubeconfig_file import write_kubeconfig
from tests.chart.cases import CASES
from tests.chart.live_release import LiveRelease
from tests.support.accounts import Account, new_account, on_taskruns, use_of
from tests.support.gateway_process import GatewayProcess
from tests.support.operator_process import OperatorProcess
from tests.support.polling import poll_until

#: The pod's addresses, and a ledger that the test replaces.
_OTHERWISE_HERE = {
    "KELERY_API_ADDR",
    "KELERY_API_METRICS_ADDR",
    "KELERY_OPERATOR_HEALTH_ADDR",
    "KELERY_REDIS_URL",
}
_RUNS = "/apis/kelery.dev/v1alpha1/namespaces/{}/taskruns"

Environment = Callable[[str], dict[str, str]]


@pytest.fixture
def environment_of(release: LiveRelease, valkey_url: str, tmp_path: Path) -> Environment:
    """The environment of a pod of the Deployment, adapted to run outside a pod."""

    def environment(deployment: str) -> dict[str, str]:
        pod = release.one("deployment", deployment)["spec"]["template"]["spec"]
        plane = release.plane
        account = Account(plane=plane, namespace=release.namespace, name=pod["serviceAccountName"])
        kubeconfig = tmp_path / f"{deployment}.kubeconfig"
        write_kubeconfig(
            kubeconfig, server=plane.server, certificate=plane.certificate, token=account.token()
        )
        told = {entry["name"]: entry.get("value", "") for entry in pod["containers"][0]["env"]}
        kept = {name: value for name, value in told.items() if name not in _OTHERWISE_HERE}
        return {**kept, "KUBECONFIG": str(kubeconfig), "KELERY_REDIS_URL": valkey_url}

    return environment


@pytest.fixture
def stopping() -> Iterator[list[OperatorProcess | GatewayProcess]]:
    """Processes to kill at the end of the test."""
    running: list[OperatorProcess | GatewayProcess] = []
    yield running
    for process in running:
        process.kill()


@pytest.mark.parametrize("case", ["default", "namespaces-without-reviews"])
def test_the_operator_has_enough_permissions(
    release: LiveRelease,
    environment_of: Environment,
    stopping: list[OperatorProcess | GatewayProcess],
    tmp_path: Path,
    case: str,
) -> None:
    """It lists and watches TaskRuns, writes a status, and deletes a TaskRun whose ttl has expired."""
    release.install(CASES[case])
    operator = OperatorProcess(environment_of("kelery-operator"), log=tmp_path / "operator.log")
    stopping.append(operator)
    operator.wait_until_ready()
    access, runs = release.plane.access(), _RUNS.format(release.namespace)
    spec = {"task": "demo.add", "ttlSecondsAfterFinished": 1}
    run = {"apiVersion": "kelery.dev/v1alpha1", "kind": "TaskRun", "metadata": {"name": "one"}, "spec": spec}
    assert access.request("POST", path=runs, body=run).status == 201

    def phase() -> str:
        answer = access.request("GET", path=f"{runs}/one")
        return str(answer.body.get("status", {}).get("phase")) if answer.status == 200 else "gone"

    poll_until(lambda: phase() == "Admitted", seconds=20, what="Admitted", state=operator.told)
    cancel = access.request(
        "PATCH",
        path=f"{runs}/one",
        body={"spec": {"cancel": "Graceful"}},
        content_type="application/merge-patch+json",
    )
    assert cancel.status == 200, cancel.message
    poll_until(lambda: phase() == "gone", seconds=30, what="the deletion", state=operator.told)
    assert "403" not in operator.told()


def test_the_gateway_has_enough_permissions(
    release: LiveRelease,
    environment_of: Environment,
    stopping: list[OperatorProcess | GatewayProcess],
    tmp_path: Path,
) -> None:
    """It asks the API server to review a token, and deletes a run that was created as a TaskRun."""
    release.install()
    operator = OperatorProcess(environment_of("kelery-operator"), log=tmp_path / "operator.log")
    gateway = GatewayProcess(environment_of("kelery-api"), log=tmp_path / "gateway.log")
    stopping += [operator, gateway]
    operator.wait_until_ready()
    gateway.wait_until_ready()
    person = new_account(release.plane)
    person.allow(
        on_taskruns("create", "list", "get", "delete"), use_of("demo.add"), namespace=release.namespace
    )
    person.wait_until_allowed(verb="list", namespace=release.namespace)
    token, runs = person.token("kelery"), f"/v1/namespaces/{release.namespace}/taskruns"
    poll_until(lambda: gateway.ask(runs, token=token).status == 200, seconds=20, what="the rights")
    assert gateway.ask(runs).status == 401
    accepted = gateway.ask(runs, method="POST", body={"spec": {"task": "demo.add"}}, token=token)
    assert accepted.status == 202, accepted.body
    refused = gateway.ask(runs, method="POST", body={"spec": {"task": "demo.fail"}}, token=token)
    assert refused.status == 403

    born = {"apiVersion": "kelery.dev/v1alpha1", "kind": "TaskRun", "metadata": {"name": "born"}}
    body = json.dumps({**born, "spec": {"task": "demo.add"}})
    made = release.plane.kubectl("create", "-n", release.namespace, "-f", "-", input=body)
    assert made.returncode == 0, made.stderr
    one = f"{runs}/born"
    poll_until(lambda: gateway.ask(one, token=token).status == 200, seconds=20, what="it in the ledger")
    assert gateway.ask(one, method="DELETE", token=token).status == 204
    poll_until(lambda: release.get("taskrun", "born") == [], seconds=20, what="the TaskRun's deletion")
