"""What is read of an object of the API server."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from kelery.run.model import CancelMode, RunSpec
from kelery.taskrun.resource import Identity
from kelery_operator.taskrun.snapshot import snapshot_of
from tests.unit.core.test_spec import JSON
from tests.unit.operator.observations import body


def test_a_task_run_is_read_with_what_decides() -> None:
    run = snapshot_of(body(spec={"task": "t"}, shown={"phase": "Running"}, generation=3, version="77"))
    assert run.who == Identity(uid="uid-1", namespace="default", name="run")
    assert (run.version, run.generation, run.first_version) == (77, 3, 77)
    assert run.created.isoformat() == "2026-11-22T11:59:00+00:00"
    assert (run.spec.task, run.status, run.tracked) == ("t", {"phase": "Running"}, False)
    assert snapshot_of(body(labels={"argocd.argoproj.io/instance": "app"})).tracked


@given(JSON, JSON, JSON)
def test_identity_is_found_whatever_else_is_broken(junk: Any, labels: Any, status: Any) -> None:
    metadata = {"uid": "u-1", "namespace": "team", "name": "report", "labels": labels, "generation": junk}
    broken = {"metadata": metadata, "spec": junk, "status": status}
    assert snapshot_of(broken).who == Identity(uid="u-1", namespace="team", name="report")
    assert snapshot_of({"metadata": junk}).who.name == ""


def test_a_spec_is_read_again_only_if_it_changed() -> None:
    first = snapshot_of(body(version="100"))
    later = body(version="101", spec={"task": "never.read"}, shown={"phase": "Running"})
    again = snapshot_of(later, known_of={"uid-1": first}.get)
    assert again.spec is first.spec
    assert (again.version, again.first_version, again.status) == (101, 100, {"phase": "Running"})
    changed = snapshot_of(body(version="102", generation=2), known_of={"uid-1": again}.get)
    assert changed.spec is not first.spec
    assert snapshot_of(body(version="102", generation=2), known_of={"uid-1": changed}.get) is changed
    assert snapshot_of(body(uid="uid-2"), known_of={"uid-1": first}.get).first_version == 100


def test_what_cannot_be_run_is_read_with_its_problem_and_what_can_be_told() -> None:
    spec = {"task": "t", "args": 7, "cancel": "Force", "ttlSecondsAfterFinished": 9}
    run = snapshot_of(body(spec=spec, generation=2))
    assert "spec.args" in str(run.problem)
    assert run.spec == RunSpec(task="t", cancel=CancelMode.FORCE, ttl_seconds_after_finished=9)
    assert (run.who.uid, run.generation) == ("uid-1", 2)


@given(JSON)
def test_no_json_whatever_makes_it_fail(junk: Any) -> None:
    metadata = {"uid": "u", "labels": junk, "generation": junk, "creationTimestamp": junk}
    for shown in (
        junk,
        {"metadata": junk, "spec": junk, "status": junk},
        {"metadata": metadata, "spec": {"task": junk}},
        {"metadata": metadata, "spec": {"task": "t", "concurrency": junk}},
    ):
        run = snapshot_of(shown)
        assert run.problem or run.spec.task
