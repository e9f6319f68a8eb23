"""Only two parts of a TaskRun's spec may change: cancel, forward only, and the ttl."""

from copy import deepcopy
from typing import Any

import pytest

from kelery_dev.control_plane.manifests import manifests
from tests.contract.manifest.taskruns_over_http import TaskRuns

_CHANGEABLE = {"cancel", "ttlSecondsAfterFinished"}
_ABSENT = object()

_MINIMAL: dict[str, Any] = {"task": "demo.add"}
_FULL: dict[str, Any] = {
    "task": "demo.add",
    "args": [1, {"rows": [1, 2, {"x": None}]}],
    "kwargs": {"month": "2026-08", "deep": {"list": [{"a": 1, "none": None}], "text": "1"}},
    "queue": "fast",
    "priority": 7,
    "concurrency": {"key": "report/tenant-7", "limit": 3, "policy": "Replace", "maxQueueSeconds": 600},
    "timeoutSeconds": 3600,
    "retry": {"maxAttempts": 3, "backoffSeconds": 7, "maxBackoffSeconds": 70, "reasons": ["WorkerLost"]},
    "cancelGracePeriodSeconds": 10,
}
#: Field -> another valid value.
_OTHER: dict[str, Any] = {
    "task": "demo.other",
    "args": [1, {"rows": [1, 2, {"x": 0}]}],
    "kwargs": {},
    "queue": "slow",
    "priority": 8,
    "concurrency.key": "report/tenant-8",
    "concurrency.limit": 4,
    "concurrency.policy": "Queue",
    "concurrency.maxQueueSeconds": 601,
    "timeoutSeconds": 3601,
    "retry.maxAttempts": 4,
    "retry.backoffSeconds": 8,
    "retry.maxBackoffSeconds": 71,
    "retry.reasons": ["Timeout"],
    "cancelGracePeriodSeconds": 11,
}
#: Optional fields. Some have a default that differs from the value in _FULL.
_OPTIONAL = [
    "args",
    "kwargs",
    "queue",
    "priority",
    "concurrency",
    "concurrency.limit",
    "concurrency.policy",
    "concurrency.maxQueueSeconds",
    "timeoutSeconds",
    "retry",
    "retry.backoffSeconds",
    "retry.maxBackoffSeconds",
    "retry.reasons",
    "cancelGracePeriodSeconds",
]


@pytest.fixture(scope="module")
def full(taskruns: TaskRuns) -> dict[str, Any]:
    return taskruns.create(_FULL)


@pytest.fixture(scope="module")
def minimal(taskruns: TaskRuns) -> dict[str, Any]:
    return taskruns.create(_MINIMAL)


def _with(spec: dict[str, Any], *, field: str, value: object) -> dict[str, Any]:
    """A copy of the spec with one field set or, for _ABSENT, taken out."""
    changed = deepcopy(spec)
    *parents, leaf = field.split(".")
    place = changed
    for parent in parents:
        place = place[parent]
    if value is _ABSENT:
        del place[leaf]
    else:
        place[leaf] = value
    return changed


def _spec_fields(schema: dict[str, Any], *, prefix: str = "") -> set[str]:
    """The paths of the typed leaves under a schema; a free-form value is one leaf."""
    fields: set[str] = set()
    for name, child in schema["properties"].items():
        nested = _spec_fields(child, prefix=f"{prefix}{name}.") if "properties" in child else {prefix + name}
        fields |= nested
    return fields


def test_every_field_of_the_spec_is_tried_below() -> None:
    (crd,) = manifests(subfolder="crds")
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert _spec_fields(spec) == set(_OTHER) | _CHANGEABLE


def test_an_unchanged_spec_may_be_sent_again(taskruns: TaskRuns, full: dict[str, Any]) -> None:
    assert taskruns.try_replace(full, spec=full["spec"]).status == 200
    assert taskruns.try_replace(full, spec=_FULL).status == 200


@pytest.mark.parametrize("field", _OTHER)
def test_a_changed_field_is_refused(taskruns: TaskRuns, full: dict[str, Any], field: str) -> None:
    answer = taskruns.try_replace(full, spec=_with(full["spec"], field=field, value=_OTHER[field]))
    assert answer.status == 422, answer.body
    assert f"spec.{field} is immutable" in answer.message


@pytest.mark.parametrize("field", _OPTIONAL)
def test_a_field_taken_out_is_refused(taskruns: TaskRuns, full: dict[str, Any], field: str) -> None:
    answer = taskruns.try_replace(full, spec=_with(full["spec"], field=field, value=_ABSENT))
    assert answer.status == 422, answer.body
    assert f"spec.{field} is immutable" in answer.message


@pytest.mark.parametrize("field", [field for field in _OPTIONAL if "." not in field])
def test_a_field_added_later_is_refused(taskruns: TaskRuns, minimal: dict[str, Any], field: str) -> None:
    answer = taskruns.try_replace(minimal, spec=_with(minimal["spec"], field=field, value=_FULL[field]))
    assert answer.status == 422, answer.body
    assert f"spec.{field} is immutable" in answer.message


def test_a_queue_limit_added_to_a_key_later_is_refused(taskruns: TaskRuns) -> None:
    taskrun = taskruns.create({**_MINIMAL, "concurrency": {"key": "k"}})
    changed = _with(taskrun["spec"], field="concurrency.maxQueueSeconds", value=5)
    answer = taskruns.try_replace(taskrun, spec=changed)
    assert answer.status == 422, answer.body
    assert "spec.concurrency.maxQueueSeconds is immutable" in answer.message


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"month": "2026-09"}, id="a value"),
        pytest.param({"month": _ABSENT, "MONTH": "2026-08"}, id="a renamed key"),
        pytest.param({"more": None}, id="one more key, null"),
        pytest.param({"deep": {"list": [{"b": 1, "none": None}], "text": "1"}}, id="a renamed key in a list"),
        pytest.param({"deep": {"list": [{"a": 1}], "text": "1"}}, id="a null taken out"),
        pytest.param({"deep": {"list": [{"a": 1, "none": 0}], "text": "1"}}, id="a null made a number"),
        pytest.param({"deep": {"list": [{"a": True, "none": None}], "text": "1"}}, id="a number made true"),
        pytest.param({"deep": {"list": [{"a": 1, "none": None}], "text": 1}}, id="a text made a number"),
        pytest.param({"deep": {"list": [{"a": 1, "none": None}] * 2, "text": "1"}}, id="a longer list"),
    ],
)
def test_a_change_deep_in_kwargs_is_refused(
    taskruns: TaskRuns, full: dict[str, Any], changed: dict[str, Any]
) -> None:
    spec = deepcopy(full["spec"])
    for key, value in changed.items():
        spec = _with(spec, field=f"kwargs.{key}", value=value)
    answer = taskruns.try_replace(full, spec=spec)
    assert answer.status == 422, answer.body
    assert "spec.kwargs is immutable" in answer.message
    assert "spec.args" not in answer.message


@pytest.mark.parametrize(
    "args", [[], [1], [{"rows": [1, 2, {"x": None}]}, 1], [1, {"rows": [1, 3, {"x": None}]}]]
)
def test_a_change_deep_in_args_is_refused(taskruns: TaskRuns, full: dict[str, Any], args: list[Any]) -> None:
    answer = taskruns.try_replace(full, spec=_with(full["spec"], field="args", value=args))
    assert answer.status == 422, answer.body
    assert "spec.args is immutable" in answer.message
    assert "spec.kwargs" not in answer.message


@pytest.mark.parametrize("field", ["args", "kwargs"])
def test_empty_arguments_are_not_the_same_as_none(
    taskruns: TaskRuns, minimal: dict[str, Any], field: str
) -> None:
    empty: object = [] if field == "args" else {}
    answer = taskruns.try_replace(minimal, spec=_with(minimal["spec"], field=field, value=empty))
    assert answer.status == 422, answer.body
    assert f"spec.{field} is immutable" in answer.message


def test_arguments_near_the_size_limit_are_compared_within_the_cost_limit(taskruns: TaskRuns) -> None:
    kwargs = {f"key{i}": ["x" * 50] * 20 for i in range(900)}
    taskrun = taskruns.create({**_MINIMAL, "kwargs": kwargs})
    spec = taskrun["spec"]
    assert taskruns.try_replace(taskrun, spec={**spec, "ttlSecondsAfterFinished": 5}).status == 200
    kwargs["key899"][19] = "y" * 50
    answer = taskruns.try_replace(taskrun, spec={**spec, "kwargs": kwargs})
    assert "spec.kwargs is immutable" in answer.message


def test_ttl_may_be_set_changed_and_taken_out(taskruns: TaskRuns, minimal: dict[str, Any]) -> None:
    name = minimal["metadata"]["name"]
    for ttl in (5, 0, 86400, None):
        answer = taskruns.patch(name, merge={"spec": {"ttlSecondsAfterFinished": ttl}})
        assert answer.status == 200, answer.message
        assert answer.body["spec"].get("ttlSecondsAfterFinished") == ttl


@pytest.mark.parametrize("steps", [("Graceful", "Graceful", "Force", "Force"), ("Force",)])
def test_cancel_moves_forward(taskruns: TaskRuns, steps: tuple[str, ...]) -> None:
    name = taskruns.create(_FULL)["metadata"]["name"]
    for step in steps:
        answer = taskruns.patch(name, merge={"spec": {"cancel": step}})
        assert answer.status == 200, answer.message
        assert answer.body["spec"]["cancel"] == step


@pytest.mark.parametrize(
    ("was", "becomes"), [("Graceful", None), ("Force", None), ("Force", "Graceful"), ("Graceful", "")]
)
def test_cancel_cannot_be_taken_back(taskruns: TaskRuns, was: str, becomes: str | None) -> None:
    name = taskruns.create({**_MINIMAL, "cancel": was})["metadata"]["name"]
    answer = taskruns.patch(name, merge={"spec": {"cancel": becomes}})
    assert answer.status == 422, answer.body
    assert "spec.cancel" in answer.message
    assert taskruns.get(name)["spec"]["cancel"] == was


def test_the_spec_cannot_be_taken_out(taskruns: TaskRuns, minimal: dict[str, Any]) -> None:
    answer = taskruns.patch(minimal["metadata"]["name"], merge={"spec": None})
    assert answer.status == 422, answer.body
    assert "spec: Required value" in answer.message


def test_labels_and_annotations_may_change(taskruns: TaskRuns, full: dict[str, Any]) -> None:
    merge = {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}}
    assert taskruns.patch(full["metadata"]["name"], merge=merge).status == 200
