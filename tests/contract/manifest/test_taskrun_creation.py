"""Which TaskRuns a real API server takes, and what it says of those that it refuses."""

from typing import Any

import pytest

from kelery_dev.control_plane import ControlPlane
from tests.contract.manifest.taskruns_over_http import Spec, TaskRuns

_FULL: dict[str, Any] = {
    "task": "demo.add",
    "args": [1, None, {"rows": [None, 1.5]}],
    "kwargs": {"month": "2026-08", "nothing": None, "deep": {"list": [[], {}]}},
    "queue": "celery",
    "priority": -1000,
    "concurrency": {"key": "report/tenant-7", "limit": 1000, "policy": "Replace", "maxQueueSeconds": 600},
    "timeoutSeconds": 3600,
    "retry": {"maxAttempts": 3, "backoffSeconds": 5, "maxBackoffSeconds": 5, "reasons": ["WorkerLost"]},
    "cancel": "Graceful",
    "cancelGracePeriodSeconds": 0,
    "ttlSecondsAfterFinished": 0,
}


def _run(**fields: Any) -> Spec:
    return {"task": "demo.add", **fields}


def _keyed(**fields: Any) -> Spec:
    return _run(concurrency={"key": "k", **fields})


def _retried(**fields: Any) -> Spec:
    return _run(retry={"maxAttempts": 3, **fields})


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(_run(), id="nothing but a task"),
        pytest.param(_FULL, id="every field"),
        *(
            pytest.param({"task": task}, id=task)
            for task in ("add", "proj.tasks.<lambda>", "proj:tasks/add-1", "同步数据", "größe.rechnen")
        ),
        *(_keyed(policy=policy) for policy in ("Queue", "QueueLatest", "Reject", "Replace")),
        *(_run(concurrency={"key": key}) for key in ("a", "A_1", "db:5432/x@y.z-1", "k" * 253)),
        pytest.param(_run(task="t" * 253, queue="q" * 200), id="longest names"),
        pytest.param(_run(args=[0] * 1000), id="most arguments"),
        pytest.param(_retried(backoffSeconds=0, maxBackoffSeconds=0), id="retry at once"),
        pytest.param(_run(kwargs={"text": "x" * 200_000}), id="too large for a run, which the operator says"),
        pytest.param(_run(cancel="Force"), id="cancelled at creation"),
        pytest.param(_run(ttlSecondsAfterFinished=2**31 - 1), id="kept for ever"),
    ],
)
def test_a_good_spec_is_accepted(taskruns: TaskRuns, spec: Spec) -> None:
    answer = taskruns.try_create(spec)
    assert answer.status == 201, answer.message


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "spec.task"),
        (_run(task=""), "spec.task"),
        (_run(task=7), "spec.task"),
        (_run(task="demo add"), "spec.task"),
        (_run(task="demo.add\n"), "spec.task"),
        (_run(task="demo\x1b[31m"), "spec.task"),
        (_run(task="demo\x85add"), "spec.task"),
        (_run(task="demo\u202eadd"), "spec.task"),
        (_run(task="demo\u200badd"), "spec.task"),
        (_run(task="demo\u3000add"), "spec.task"),
        (_run(task="t" * 254), "spec.task"),
        (_run(args={"x": 1}), "spec.args"),
        (_run(args="x"), "spec.args"),
        (_run(args=[0] * 1001), "spec.args"),
        (_run(kwargs=[1]), "spec.kwargs"),
        (_run(kwargs={f"k{i}": i for i in range(1001)}), "spec.kwargs"),
        (_run(queue=""), "spec.queue"),
        (_run(queue="a b"), "spec.queue"),
        (_run(queue="a\x06\x163"), "spec.queue"),
        (_run(queue="a\u2066"), "spec.queue"),
        (_run(queue="q" * 201), "spec.queue"),
        (_run(priority=1001), "spec.priority"),
        (_run(priority=-1001), "spec.priority"),
        (_run(priority=1.5), "spec.priority"),
        (_run(priority="high"), "spec.priority"),
        (_run(concurrency={}), "spec.concurrency.key"),
        (_run(concurrency={"limit": 2}), "spec.concurrency.key"),
        (_keyed(key=""), "spec.concurrency.key"),
        (_keyed(key="a b"), "spec.concurrency.key"),
        (_keyed(key="a\n"), "spec.concurrency.key"),
        (_keyed(key="a\x00b"), "spec.concurrency.key"),
        (_keyed(key="/a"), "spec.concurrency.key"),
        (_keyed(key="a{b}c"), "spec.concurrency.key"),
        (_keyed(key="k" * 254), "spec.concurrency.key"),
        (_keyed(limit=0), "spec.concurrency.limit"),
        (_keyed(limit=-1), "spec.concurrency.limit"),
        (_keyed(limit=1001), "spec.concurrency.limit"),
        (_keyed(limit="1"), "spec.concurrency.limit"),
        (_keyed(policy="Forbid"), "spec.concurrency.policy"),
        (_keyed(policy="queue"), "spec.concurrency.policy"),
        (_keyed(maxQueueSeconds=0), "spec.concurrency.maxQueueSeconds"),
        (_keyed(maxQueueSeconds=2**31), "spec.concurrency.maxQueueSeconds"),
        (_run(timeoutSeconds=0), "spec.timeoutSeconds"),
        (_run(timeoutSeconds="1h"), "spec.timeoutSeconds"),
        (_run(timeoutSeconds=2592001), "spec.timeoutSeconds"),
        (_run(retry={}), "spec.retry.maxAttempts"),
        (_retried(maxAttempts=0), "spec.retry.maxAttempts"),
        (_retried(maxAttempts=101), "spec.retry.maxAttempts"),
        (_retried(backoffSeconds=-1), "spec.retry.backoffSeconds"),
        (_retried(maxBackoffSeconds=86401), "spec.retry.maxBackoffSeconds"),
        (_retried(backoffSeconds=10, maxBackoffSeconds=9), "spec.retry.maxBackoffSeconds"),
        (_retried(backoffSeconds=301), "spec.retry.maxBackoffSeconds"),
        (_retried(reasons=[]), "spec.retry.reasons"),
        (_retried(reasons=["Cancelled"]), "spec.retry.reasons"),
        (_retried(reasons=["Timeout", "Timeout"]), "spec.retry.reasons"),
        (_run(cancel=True), "spec.cancel"),
        (_run(cancel=""), "spec.cancel"),
        (_run(cancel="Now"), "spec.cancel"),
        (_run(cancelGracePeriodSeconds=-1), "spec.cancelGracePeriodSeconds"),
        (_run(cancelGracePeriodSeconds=3601), "spec.cancelGracePeriodSeconds"),
        (_run(ttlSecondsAfterFinished=-1), "spec.ttlSecondsAfterFinished"),
        (_run(ttlSecondsAfterFinished=2**31), "spec.ttlSecondsAfterFinished"),
        (_run(tasks="demo.add"), "spec.tasks"),
        (_keyed(max=1), "spec.concurrency.max"),
        # What kubectl makes of an unquoted `on:`.
        (_retried(true=["Timeout"]), "spec.retry.true"),
    ],
)
def test_a_bad_spec_is_refused_and_the_message_names_the_field(
    taskruns: TaskRuns, spec: Spec, field: str
) -> None:
    answer = taskruns.try_create(spec)
    assert answer.status in (400, 422), answer.body
    assert field in answer.message


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
