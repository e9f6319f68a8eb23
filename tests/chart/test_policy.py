"""CRD and admission policies: the files themselves, and only what was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from kelery_dev.control_plane.manifests import manifests
from tests.chart.cases import CASES
from tests.chart.rendered import of_kind
from tests.support.helm import Helm, Manifest

_POLICIES = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")


def _of_file(subfolder: str) -> dict[tuple[str, str], Any]:
    return {(m["kind"], m["metadata"]["name"]): m["spec"] for m in manifests(subfolder=subfolder)}


def _of_chart(rendered: list[Manifest], *kinds: str) -> dict[tuple[str, str], Any]:
    return {(m["kind"], m["metadata"]["name"]): m["spec"] for m in of_kind(rendered, *kinds)}


def test_the_crd_is_the_file(helm: Helm) -> None:
    assert _of_chart(helm.template(), "CustomResourceDefinition") == _of_file("crds")


@pytest.mark.parametrize(("case", "kept"), [("default", True), ("crds-not-kept", False)])
def test_the_crd_is_kept_unless_told_otherwise(helm: Helm, case: str, kept: bool) -> None:
    [crd] = of_kind(helm.template(CASES[case]), "CustomResourceDefinition")
    annotations = crd["metadata"].get("annotations") or {}
    assert (annotations.get("helm.sh/resource-policy") == "keep") is kept


def test_the_crds_annotations_are_there(helm: Helm) -> None:
    [crd] = of_kind(helm.template(CASES["crds-annotated"]), "CustomResourceDefinition")
    assert crd["metadata"]["annotations"]["example.com/crd"] == "yes"


def test_no_crd_and_no_policy_if_told_so(helm: Helm) -> None:
    assert of_kind(helm.template(CASES["no-crds"]), "CustomResourceDefinition") == []
    assert of_kind(helm.template(CASES["no-policy"]), *_POLICIES) == []


def test_the_right_to_run_a_task_is_asked_where_it_was_told(helm: Helm) -> None:
    labelled = _of_file("policy")
    assert _of_chart(helm.template(), *_POLICIES) == labelled
    everywhere = _of_chart(helm.template(CASES["task-use-everywhere"]), *_POLICIES)
    assert everywhere == {**labelled, **_of_file("policy-everywhere")}
    off = _of_chart(helm.template(CASES["task-use-off"]), *_POLICIES)
    assert off == {key: spec for key, spec in labelled.items() if not key[1].startswith("task-use")}
    assert off
