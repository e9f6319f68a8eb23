"""CRD and admission policies: the chart renders the files, and only those that the values enable."""

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
def test_the_crd_is_kept_unless_disabled(helm: Helm, case: str, kept: bool) -> None:
    [crd] = of_kind(helm.template(CASES[case]), "CustomResourceDefinition")
    annotations = crd["metadata"].get("annotations") or {}
    assert (annotations.get("helm.sh/resource-policy") == "keep") is kept


def test_the_crd_has_the_given_annotations(helm: Helm) -> None:
    [crd] = of_kind(helm.template(CASES["crds-annotated"]), "CustomResourceDefinition")
    assert crd["metadata"]["annotations"]["example.com/crd"] == "yes"


def test_crd_and_policies_can_be_disabled(helm: Helm) -> None:
    assert of_kind(helm.template(CASES["no-crds"]), "CustomResourceDefinition") == []
    assert of_kind(helm.template(CASES["no-policy"]), *_POLICIES) == []


def test_the_use_verb_is_required_where_the_value_says(helm: Helm) -> None:
    labelled = _of_file("policy")
    assert _of_chart(helm.template(), *_POLICIES) == labelled
    everywhere = _of_chart(helm.template(CASES["task-use-everywhere"]), *_POLICIES)
    assert everywhere == {**labelled, **_of_file("policy-everywhere")}
    off = _of_chart(helm.template(CASES["task-use-off"]), *_POLICIES)
    assert off == {key: spec for key, spec in labelled.items() if not key[1].startswith("task-use")}
    assert off
