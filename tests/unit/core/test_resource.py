"""What an object says about itself is found, whatever else in it is broken."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelery.taskrun.resource import Identity, created_at, identity, is_tracked, version_of
from tests.unit.core.test_spec import JSON


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"app.kubernetes.io/managed-by": "Helm"}},
        {"annotations": {"meta.helm.sh/release-name": "r"}},
        {"annotations": {"argocd.argoproj.io/tracking-id": "app:kelery.dev/TaskRun:team/report"}},
        {"labels": {"argocd.argoproj.io/instance": "app"}},
        {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}},
        {"labels": {"helm.toolkit.fluxcd.io/name": "apps"}},
    ],
)
def test_what_another_tool_would_create_again_is_tracked(metadata: dict[str, Any]) -> None:
    assert is_tracked(metadata)


def test_labels_that_only_look_alike_do_not_track() -> None:
    labels = {"app.kubernetes.io/managed-by": "me", "app.kubernetes.io/name": "Helm"}
    assert not is_tracked({"labels": labels})


@given(JSON, JSON)
def test_identity_is_found_whatever_else_is_broken(junk: Any, labels: Any) -> None:
    metadata = {"uid": "u-1", "namespace": "team", "name": "report", "labels": labels, "generation": junk}
    assert identity(metadata) == Identity(uid="u-1", namespace="team", name="report")
    assert identity({"name": [junk], "uid": {"": junk}}) == Identity(uid="", namespace="", name="")


@given(st.dictionaries(st.sampled_from(["labels", "annotations", "creationTimestamp", "uid"]), JSON))
def test_no_metadata_whatever_make_reading_fail(metadata: dict[str, Any]) -> None:
    assert isinstance(is_tracked(metadata), bool)
    assert created_at(metadata).year >= 1970
    assert isinstance(identity(metadata).uid, str)


@pytest.mark.parametrize(("text", "version"), [("77", 77), ("", 0), ("x7", 0), ("٣", 0), (7, 0), (None, 0)])
def test_a_version_that_cannot_be_compared_is_0(text: Any, version: int) -> None:
    assert version_of({"resourceVersion": text}) == version
