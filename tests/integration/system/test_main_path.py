"""`kubectl apply` a TaskRun and read its outcome in `.status`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.cluster import Cluster
from tests.support.system import System


@pytest.fixture(autouse=True)
def _running(system: System) -> None:
    """Starts all parts."""


def test_a_taskrun_applied_with_kubectl_succeeds_and_can_be_waited_for(
    system: System, cluster: Cluster
) -> None:
    manifest = {
        "apiVersion": "kelery.dev/v1alpha1",
        "kind": "TaskRun",
        "metadata": {"name": "first", "namespace": cluster.namespace},
        "spec": {"task": "users.echo", "args": [{"answer": 42}]},
    }
    applied = system.plane.kubectl("apply", "-f", "-", input=json.dumps(manifest))
    assert applied.returncode == 0, applied.stderr
    waited = system.plane.kubectl(
        "wait", "--for=condition=Finished", "--timeout=20s", "-n", cluster.namespace, "ktr/first"
    )
    assert waited.returncode == 0, waited.stderr
    status = cluster.status("first")
    assert (status["phase"], status["reason"], status["attempt"]) == ("Succeeded", "Completed", 1)
    assert status["result"] == {"value": {"answer": 42}, "truncated": False}
    assert status["worker"].endswith("@test")
    assert status["startTime"]
    assert status["completionTime"]
    conditions = {condition["type"]: condition["status"] for condition in status["conditions"]}
    assert conditions == {"Admitted": "True", "Started": "True", "Finished": "True", "Succeeded": "True"}
    table = system.plane.kubectl("get", "ktr", "-n", cluster.namespace).stdout
    assert "Succeeded" in table
    assert "users.echo" in table


VALUES: list[Any] = [
    None,
    False,
    0,
    "",
    "héllo ☃ 𝄞",
    [],
    {},
    [1, [None, {"a": None}]],
    {"none": None, "nested": {"none": None}},
    2**53 + 1,
    -(2**63),
    1.5,
]


def test_every_kind_of_json_comes_back_in_the_status(cluster: Cluster) -> None:
    for number, value in enumerate(VALUES):
        cluster.create(name=f"value-{number}", task="users.echo", args=[value])
    for number, value in enumerate(VALUES):
        status = cluster.wait_for(f"value-{number}", phase="Succeeded")
        assert status["result"] == {"value": value, "truncated": False}
        assert type(status["result"]["value"]) is type(value)


def test_a_large_result_is_marked_and_whole_elsewhere(system: System, cluster: Cluster) -> None:
    made = cluster.create(name="large", task="users.returns", args=["large"])
    status = cluster.wait_for("large", phase="Succeeded")
    assert status["result"]["truncated"] is True
    assert "value" not in status["result"]
    assert system.probe().result(made["metadata"]["uid"]) == "ä" * 40_000


@pytest.mark.parametrize(
    ("task", "args", "reason", "error_type"),
    [
        ("users.boom", ["no"], "TaskError", "KeyError"),
        ("users.returns", ["set"], "ResultNotSerializable", "ResultNotSerializable"),
        ("users.returns", ["nan"], "ResultNotSerializable", "ResultNotSerializable"),
        ("users.returns", ["big"], "ResultNotSerializable", "ResultNotSerializable"),
        ("users.not_there", [], "TaskNotRegistered", "TaskNotRegistered"),
        ("users.dies", [], "WorkerLost", "WorkerLost"),
    ],
)
def test_a_failure_says_why(
    cluster: Cluster, task: str, args: list[Any], reason: str, error_type: str
) -> None:
    cluster.create(name="fails", task=task, args=args)
    status = cluster.wait_for("fails", phase="Failed")
    assert status["reason"] == reason
    assert status["error"]["type"] == error_type
    assert status["error"]["message"]
    succeeded = {condition["type"]: condition for condition in status["conditions"]}["Succeeded"]
    assert (succeeded["status"], succeeded["reason"]) == ("False", reason)


def test_an_exceptions_traceback_is_shown(cluster: Cluster) -> None:
    cluster.create(name="boom", task="users.boom", args=["no such thing"])
    error = cluster.wait_for("boom", phase="Failed")["error"]
    assert error["message"] == "'no such thing'"
    assert "in boom" in error["traceback"]


def test_a_run_that_takes_too_long_times_out(cluster: Cluster) -> None:
    cluster.create(name="slow", task="users.nap", args=[60], timeoutSeconds=1)
    status = cluster.wait_for("slow", phase="Failed")
    assert (status["reason"], status["error"]["type"]) == ("Timeout", "Timeout")


def test_retries_are_counted_and_told(cluster: Cluster, tmp_path: Any) -> None:
    retry = {"maxAttempts": 3, "backoffSeconds": 0}
    cluster.create(name="flaky", task="users.flaky", args=[str(tmp_path / "starts"), 2], retry=retry)
    status = cluster.wait_for("flaky", phase="Succeeded")
    assert status["attempt"] == 3
    assert [attempt["reason"] for attempt in status["attempts"]] == ["Completed", "TaskError", "TaskError"]
    assert status["attempts"][1]["errorType"] == "ConnectionError"


def test_progress_is_shown_while_it_runs(cluster: Cluster, tmp_path: Any) -> None:
    gate = tmp_path / "gate"
    cluster.create(name="steps", task="users.tells_state", args=[str(gate)])
    cluster.wait_for("steps", progress={"current": 3, "total": 9, "text": "3/9"})
    gate.touch()
    cluster.wait_for("steps", phase="Succeeded")


def test_args_nested_too_deep_end_at_once_and_say_so(cluster: Cluster) -> None:
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    cluster.create(name="deep", task="users.echo", args=[deep])
    status = cluster.wait_for("deep", phase="Failed")
    assert status["reason"] == "SpecTooLarge"
    assert "spec.args" in status["error"]["message"]


def test_without_a_worker_a_run_waits_and_says_for_what(system: System, cluster: Cluster) -> None:
    cluster.create(name="lonely", task="users.echo", args=[1], queue="another-queue")
    status = cluster.wait_for("lonely", phase="Admitted")
    assert status["reason"] == "WaitingForWorker"
    late = system.start_worker("-Q", "another-queue", concurrency=1)
    try:
        assert cluster.wait_for("lonely", phase="Succeeded")["worker"] == f"{late.name}@test"
    finally:
        late.close()
