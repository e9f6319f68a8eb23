"""The stored fields of a status that JSON Patch writes whole, its field selectors and its columns."""

from typing import Any

import pytest

from kelery_dev.control_plane.control_plane import ControlPlane
from tests.contract.manifest.taskruns_over_http import TaskRuns

_MOMENT = "2026-09-10T08:00:00.012345Z"
_LONG_NAME = "é" * 512
_CONTROL = "a\x00\x1b[31m\r\n\u202eb"


def _condition(kind: str, *, status: str) -> dict[str, Any]:
    moment = "2026-09-10T08:00:03Z"
    return {
        "type": kind,
        "status": status,
        "reason": "Completed",
        "message": "",
        "lastTransitionTime": moment,
    }


_STATUS: dict[str, Any] = {
    "phase": "Succeeded",
    "reason": "Completed",
    "attempt": 1,
    "worker": "celery@kelery-worker-6d9f",
    "timing": {"queued": _MOMENT, "admitted": _MOMENT, "started": _MOMENT, "finished": _MOMENT},
    "startTime": "2026-09-10T08:00:00Z",
    "completionTime": "2026-09-10T08:00:03Z",
    "concurrency": {"position": 0, "heldBy": ["other-run"], "fence": 2**53 + 1},
    "progress": {"current": 40, "total": 100, "message": "page 40", "text": "40/100"},
    "result": {"value": 3, "truncated": False, "path": "/v1/namespaces/a/taskruns/b"},
    "error": {"type": "ValueError", "message": "no", "traceback": "Traceback:\n\tno"},
    "attempts": [
        {
            "attempt": 1,
            "reason": "TaskError",
            "errorType": "ValueError",
            "worker": "celery@a",
            "fence": 417,
            "started": _MOMENT,
            "finished": _MOMENT,
        }
    ],
    "conditions": [
        _condition(kind, status=status)
        for kind, status in (("Admitted", "True"), ("Started", "Unknown"), ("Finished", "False"))
    ],
}
#: The largest status that the writer makes. If it were refused, nobody could see how the run ended.
_LARGEST: dict[str, Any] = {
    **_STATUS,
    "worker": _LONG_NAME,
    "attempt": 2**31 - 1,
    "concurrency": {"position": 2**31 - 1, "heldBy": ["r" * 253] * 1000, "fence": 2**63 - 1},
    "progress": {
        "current": 2**63 - 1,
        "total": 0,
        "message": _CONTROL * 80,
        "text": f"{2**63 - 1}/{2**63 - 1}",
    },
    "error": {"type": _LONG_NAME, "message": (_CONTROL * 500)[:4096], "traceback": "é" * 16384},
    "attempts": _STATUS["attempts"] * 5,
}


@pytest.fixture(scope="module")
def run_name(taskruns: TaskRuns) -> str:
    """A run whose status the tests overwrite."""
    return str(taskruns.create({"task": "demo.add"})["metadata"]["name"])


@pytest.mark.parametrize("status", [_STATUS, _LARGEST], ids=["every field", "largest"])
def test_a_status_is_kept_as_written(taskruns: TaskRuns, run_name: str, status: dict[str, Any]) -> None:
    answer = taskruns.write_status(run_name, status=status)
    assert answer.status == 200, answer.message
    assert taskruns.get(run_name)["status"] == status


@pytest.mark.parametrize(
    "value",
    [
        None,
        [None, {"a": None, "b": [None]}],
        {"a": None},
        2**63 - 1,
        -(2**63),
        0.1,
        1e300,
        True,
        False,
        "",
        "\x00\x1b ü 🙂",
        [],
        {},
        [[1], "2", {"three": {"4": [5]}}],
        "x" * 32 * 1024,
    ],
    ids=lambda value: repr(value)[:40].encode("unicode_escape").decode(),
)
def test_a_result_is_kept_whatever_json_it_is(taskruns: TaskRuns, run_name: str, value: object) -> None:
    answer = taskruns.write_status(run_name, status={"phase": "Succeeded", "result": {"value": value}})
    assert answer.status == 200, answer.message
    result = taskruns.get(run_name)["status"]["result"]
    assert "value" in result
    assert result["value"] == value
    assert type(result["value"]) is type(value)


def test_the_first_status_is_written_the_same_way_as_later_ones(taskruns: TaskRuns) -> None:
    name = taskruns.create({"task": "demo.add"})["metadata"]["name"]
    for status in ({"phase": "Running", "worker": "w"}, {"phase": "Succeeded"}):
        answer = taskruns.write_status(name, status=status)
        assert answer.status == 200, answer.message
        assert taskruns.get(name)["status"] == status


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        ({"phase": "Done"}, "status.phase"),
        ({"phase": 7}, "status.phase"),
        ({"reason": "not one word"}, "status.reason"),
        ({"worker": "a\x1bb"}, "status.worker"),
        ({"attempt": "one"}, "status.attempt"),
        ({"timing": {"started": "yesterday"}}, "status.timing.started"),
        ({"startTime": 1757491200}, "status.startTime"),
        ({"attempts": [{"attempt": 1, "reason": "Timeout"}] * 6}, "status.attempts"),
        ({"progress": {"current": -1}}, "status.progress.current"),
        ({"progress": {"text": "\x1b[31m"}}, "status.progress.text"),
        ({"conditions": [{"type": "Finished", "status": "True"}]}, "status.conditions[0].reason"),
        ({"conditions": [_condition("Finished", status="yes")]}, "status.conditions[0].status"),
        ({"conditions": [_condition("Finished", status="True")] * 2}, "status.conditions[1]"),
        ({"error": {"traceback": "x" * 16385}}, "status.error.traceback"),
    ],
)
def test_a_status_broken_by_hand_is_refused_and_the_message_names_the_field(
    taskruns: TaskRuns, run_name: str, broken: dict[str, Any], field: str
) -> None:
    answer = taskruns.write_status(run_name, status=broken)
    assert answer.status == 422, answer.body
    assert field in answer.message


def test_a_status_write_cannot_change_the_spec(taskruns: TaskRuns) -> None:
    taskrun = taskruns.create({"task": "demo.add", "args": [1]})
    name = taskrun["metadata"]["name"]
    answer = taskruns.access.request(
        "PATCH",
        path=f"/apis/kelery.dev/v1alpha1/namespaces/{taskruns.namespace}/taskruns/{name}/status",
        body={"spec": {"task": "demo.other", "args": [2]}, "status": {"phase": "Running"}},
        content_type="application/merge-patch+json",
    )
    assert answer.status == 200, answer.message
    after = taskruns.get(name)
    assert after["spec"] == taskrun["spec"]
    assert after["metadata"]["generation"] == 1
    assert after["status"] == {"phase": "Running"}


def test_runs_are_selected_by_task_key_and_phase(taskruns: TaskRuns) -> None:
    only = "spec.task=selected.task"
    for name, key, phase in (
        ("s-new", None, None),
        ("s-run", "a/1", "Running"),
        ("s-done", "a/1", "Succeeded"),
    ):
        concurrency = {"concurrency": {"key": key}} if key else {}
        taskruns.create({"task": "selected.task", **concurrency}, name=name)
        if phase:
            assert taskruns.write_status(name, status={"phase": phase}).status == 200
    assert taskruns.names(field_selector=only) == ["s-done", "s-new", "s-run"]
    assert taskruns.names(field_selector=f"{only},spec.concurrency.key=a/1") == ["s-done", "s-run"]
    assert taskruns.names(field_selector=f"{only},status.phase=Running") == ["s-run"]
    assert taskruns.names(field_selector=f"{only},status.phase!=Succeeded") == ["s-new", "s-run"]
    assert taskruns.names(field_selector=f"{only},status.phase=") == ["s-new"]


@pytest.mark.parametrize("word", ["ktr", "taskrun", "taskruns", "kelery"])
def test_kubectl_get_shows_the_columns(control_plane: ControlPlane, taskruns: TaskRuns, word: str) -> None:
    name = f"shown-as-{word}"
    taskruns.create({"task": "demo.add", "concurrency": {"key": "report/tenant-7"}}, name=name)
    assert taskruns.write_status(name, status=_STATUS).status == 200
    selector = f"--field-selector=metadata.name={name}"
    done = control_plane.kubectl("get", word, "-n", taskruns.namespace, selector)
    assert done.returncode == 0, done.stderr
    header, row = done.stdout.splitlines()
    assert header.split() == ["NAME", "PHASE", "REASON", "TASK", "KEY", "PROGRESS", "AGE"]
    shown = [name, "Succeeded", "Completed", "demo.add", "report/tenant-7", "40/100"]
    assert row.split()[:-1] == shown


def test_kubectl_wait_ends_with_the_finished_condition(
    control_plane: ControlPlane, taskruns: TaskRuns
) -> None:
    taskruns.create({"task": "demo.fail"}, name="waited-for")
    finished = {"phase": "Failed", "conditions": [_condition("Finished", status="True")]}
    assert taskruns.write_status("waited-for", status=finished).status == 200
    arguments = (
        "wait",
        "--for=condition=Finished",
        "--timeout=10s",
        "-n",
        taskruns.namespace,
        "ktr/waited-for",
    )
    done = control_plane.kubectl(*arguments)
    assert done.returncode == 0, done.stderr
