"""The benchmark on a user's own cluster: what it creates there, and how it reports failures."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kelery.errors import SettingsError
from kelery.kube.credentials import Credentials
from kelery.kube.login import Login
from kelery.kube.sync_session import SyncSession
from kelery.run.phases import Phase, Reason
from kelery_bench.cli import bench
from kelery_bench.clients.api_client import prepare
from kelery_bench.cluster import jobs
from kelery_bench.cluster.measuring import chosen_cases
from kelery_bench.cluster.placement import Placement, placement_of
from kelery_bench.cluster.target import Target, is_namespace_name
from kelery_bench.cluster.trial import why_no_success
from kelery_bench.results.results import ratio_text
from kelery_dev.errors import DevError


def access(server: str = "https://10.0.0.1:6443") -> SyncSession:
    return SyncSession(Login(lambda: Credentials(server=server)))


def worker_pod(*, name: str = "w-1", node: str = "n-1", phase: str = "Running") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "kelery", "labels": {"kelery.dev/pool": "default"}},
        "spec": {
            "nodeName": node,
            "securityContext": {"runAsUser": 1000, "runAsNonRoot": True},
            "tolerations": [{"key": "dedicated", "operator": "Exists"}],
            "containers": [
                {"name": "mesh", "image": "mesh:1"},
                {"name": "worker", "image": "shop:1", "securityContext": {"runAsGroup": 1001}},
            ],
        },
        "status": {"phase": phase},
    }


def with_command(*command: str) -> dict[str, Any]:
    pod = copy.deepcopy(worker_pod())
    pod["spec"]["containers"][1]["command"] = list(command)
    return pod


def test_jobs_run_on_the_nodes_of_the_workers_pool_and_of_the_workers_image() -> None:
    others = [worker_pod(node="n-2"), worker_pod(node="n-1"), worker_pod(node="n-3", phase="Pending")]
    found = placement_of(worker_pod(), others=others, image=None)
    assert found.nodes == ("n-1", "n-2")
    assert found.image == "shop:1"
    assert found.tolerations == ({"key": "dedicated", "operator": "Exists"},)
    assert found.security == {"runAsUser": 1000, "runAsGroup": 1001}


def test_an_image_that_is_asked_for_takes_the_place_of_the_workers() -> None:
    found = placement_of(with_command("/venv/bin/python", "-m", "celery"), others=[], image="python:3.13")
    assert (found.image, found.python) == ("python:3.13", "python3")


@pytest.mark.parametrize(
    ("command", "python"),
    [
        (("/venv/bin/python", "-m", "celery", "-A", "shop"), "/venv/bin/python"),
        (("celery", "-A", "shop"), "python3"),
    ],
)
def test_the_job_starts_the_python_of_the_workers(command: tuple[str, ...], python: str) -> None:
    assert placement_of(with_command(*command), others=[], image=None).python == python


def test_a_user_that_openshift_chose_for_another_namespace_is_not_taken_over() -> None:
    pod = worker_pod()
    pod["metadata"]["annotations"] = {"openshift.io/scc": "restricted-v2"}
    assert placement_of(pod, others=[], image=None).security == {}


def test_a_job_is_bound_to_the_nodes_and_is_allowed_where_pods_are_restricted() -> None:
    placement = Placement(nodes=("n-1", "n-2"), image="shop:1", python="python3", security={"runAsUser": 7})
    job = jobs.manifest("a", placement=placement, labels={"x": "y"})
    assert job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"] == {"x": "y"}
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    terms = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    nodes = [term["matchFields"][0]["values"] for term in terms["nodeSelectorTerms"]]
    assert nodes == [["n-1"], ["n-2"]]
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["command"] == ["python3", "-c", "pass"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        "runAsUser": 7,
    }
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_a_job_has_ended_when_it_is_complete_and_its_failure_is_an_error() -> None:
    def job(kind: str, *, status: str = "True") -> dict[str, Any]:
        condition = {"type": kind, "status": status, "reason": "BackoffLimitExceeded", "message": "no"}
        return {"status": {"conditions": [condition]}}

    assert not jobs.has_completed({})
    assert not jobs.has_completed(job("SuccessCriteriaMet"))
    assert not jobs.has_completed(job("Complete", status="False"))
    assert jobs.has_completed(job("Complete"))
    with pytest.raises(DevError, match="BackoffLimitExceeded: no"):
        jobs.has_completed(job("Failed"))


@pytest.mark.parametrize(
    ("status", "queue", "said"),
    [
        ({}, None, "no operator handled a TaskRun in the namespace team within 3 s"),
        (
            {"phase": Phase.FAILED.value, "reason": Reason.TASK_NOT_REGISTERED.value, "error": {"type": "E"}},
            None,
            "the workers have no task shop.noop",
        ),
        (
            {
                "phase": Phase.FAILED.value,
                "reason": Reason.TASK_ERROR.value,
                "error": {"type": "TypeError", "message": "missing 1 argument"},
            },
            None,
            r"ended as Failed/TaskError \(TypeError: missing 1 argument\): .* --task",
        ),
        (
            {"phase": Phase.ADMITTED.value, "reason": Reason.WAITING_FOR_WORKER.value},
            "fast",
            "no worker took a run from the queue fast within 3 s",
        ),
        (
            {"phase": Phase.ADMITTED.value, "reason": Reason.WAITING_FOR_WORKER.value},
            None,
            "from the installation's default queue",
        ),
        ({"phase": Phase.RUNNING.value}, None, "still running after 3 s"),
        ({"conditions": [{"message": "the ledger is away"}]}, None, "within 3 s: the ledger is away"),
    ],
)
def test_a_trial_that_fails_says_what_to_do(status: dict[str, Any], queue: str | None, said: str) -> None:
    target = Target(access=access(), task="shop.noop", queue=queue)
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(why_no_success(status, target=target, namespace="team", seconds=3))


def test_requests_go_below_the_path_of_the_server_s_address() -> None:
    request = prepare("https://rancher.example/k8s/clusters/c-1", "GET", "/version", status=200)
    assert request.head.startswith(b"GET /k8s/clusters/c-1/version HTTP/1.1\r\nHost: rancher.example\r\n")


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.00123, "0.0012"), (0.0099, "0.0099"), (0.1, "0.10"), (61.2, "61.20")],
)
def test_a_small_ratio_keeps_two_digits_that_mean_something(ratio: float, text: str) -> None:
    assert ratio_text(ratio) == text


def test_cases_of_a_cluster_are_chosen_by_name() -> None:
    assert chosen_cases([]) == ["job-latency", "job-throughput"]
    assert chosen_cases(["job-throughput"]) == ["job-throughput"]
    with pytest.raises(DevError, match="there is no case rest on a cluster: give one or more of job-latency"):
        chosen_cases(["rest"])


@pytest.mark.parametrize(
    ("name", "good"),
    [("team-1", True), ("a", True), ("", False), ("a/b", False), ("A", False)],
)
def test_what_is_no_namespace_s_name_is_refused(name: str, good: bool) -> None:
    assert is_namespace_name(name) is good


def test_options_of_a_cluster_without_a_kubeconfig_are_a_mistake() -> None:
    done = CliRunner().invoke(bench, ["--worker-namespace", "kelery"])
    assert done.exit_code == 2
    assert "--worker-namespace needs --kubeconfig" in done.output


def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(json.dumps({"contexts": [], "current-context": "c"}))
    done = CliRunner().invoke(bench, ["--kubeconfig", str(file), "--context", "other"])
    assert isinstance(done.exception, SettingsError)
    assert "contexts has no entry named 'other'" in str(done.exception)
