"""Which TaskRuns a real API server accepts, and its messages for those that it refuses."""

from typing import Any

import pytest

from kelery_dev.control_plane.control_plane import ControlPlane
from tests.contract.manifest.taskruns_over_http import Spec, TaskRuns


def _run(**fields: Any) -> Spec:
    return {"task": "demo.add", **fields}


@pytest.mark.parametrize("name", ["bad\x07name", "bad\nname", "Bad", "a_b", "n" * 254])
def test_a_name_that_is_no_kubernetes_name_is_refused(taskruns: TaskRuns, name: str) -> None:
    answer = taskruns.try_create({"task": "demo.add"}, name=name)
    assert answer.status == 422, answer.body
    assert "metadata.name" in answer.message


def test_a_taskrun_without_a_spec_is_refused(taskruns: TaskRuns) -> None:
    body = {"apiVersion": "kelery.dev/v1alpha1", "kind": "TaskRun", "metadata": {"generateName": "run-"}}
    path = f"/apis/kelery.dev/v1alpha1/namespaces/{taskruns.namespace}/taskruns"
    answer = taskruns.access.request("POST", path=path, body=body)
    assert answer.status == 422
    assert "spec: Required value" in answer.message


def test_absent_fields_get_their_defaults(taskruns: TaskRuns) -> None:
    spec = taskruns.try_create({"task": "t", "concurrency": {"key": "k"}, "retry": {"maxAttempts": 2}}).body[
        "spec"
    ]
    assert spec == {
        "task": "t",
        "priority": 0,
        "concurrency": {"key": "k", "limit": 1, "policy": "Queue"},
        "retry": {
            "maxAttempts": 2,
            "backoffSeconds": 5,
            "maxBackoffSeconds": 300,
            "reasons": ["TaskError", "Timeout", "WorkerLost"],
        },
        "cancelGracePeriodSeconds": 30,
    }


def test_null_for_a_field_means_that_it_is_absent(taskruns: TaskRuns) -> None:
    fields = ("args", "kwargs", "queue", "priority", "concurrency", "retry", "cancel", "timeoutSeconds")
    spec = taskruns.try_create(_run(**dict.fromkeys(fields))).body["spec"]
    assert spec == {"task": "demo.add", "priority": 0, "cancelGracePeriodSeconds": 30}


def test_arguments_are_kept_to_the_last_null_and_digit(taskruns: TaskRuns) -> None:
    args: list[Any] = [
        None,
        {"a": None, "b": [None, {}]},
        [],
        2**63 - 1,
        -(2**63),
        0.1,
        True,
        "\x00\x1b ü 🙂",
    ]
    kwargs = {"args": args, "none": None, "": {"unknown": {"deep": None}}}
    name = taskruns.create(_run(args=args, kwargs=kwargs))["metadata"]["name"]
    spec = taskruns.get(name)["spec"]
    assert spec["args"] == args
    assert spec["kwargs"] == kwargs


def test_a_status_in_a_new_manifest_is_dropped(taskruns: TaskRuns) -> None:
    body = {
        "apiVersion": "kelery.dev/v1alpha1",
        "kind": "TaskRun",
        "metadata": {"generateName": "copied-"},
        "spec": {"task": "demo.add"},
        "status": {"phase": "Succeeded"},
    }
    path = f"/apis/kelery.dev/v1alpha1/namespaces/{taskruns.namespace}/taskruns?dryRun=All"
    answer = taskruns.access.request("POST", path=path, body=body)
    assert answer.status == 201, answer.message
    assert "status" not in answer.body


def test_kubectl_refuses_a_field_that_does_not_exist(control_plane: ControlPlane, taskruns: TaskRuns) -> None:
    manifest = """
        apiVersion: kelery.dev/v1alpha1
        kind: TaskRun
        metadata: {generateName: typo-}
        spec: {task: demo.add, timeoutSecond: 5}
    """
    done = control_plane.kubectl("create", "-n", taskruns.namespace, "-f", "-", input=manifest)
    assert done.returncode != 0, done.stdout
    assert 'unknown field "spec.timeoutSecond"' in done.stderr
