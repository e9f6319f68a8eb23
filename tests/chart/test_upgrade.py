"""Upgrades of the chart: fields that Kubernetes does not let change stay the same."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from tests.chart.cases import CASES
from tests.chart.rendered import name_of, of_kind
from tests.support.helm import CHART, Helm, Manifest

#: Released names and immutable fields. If one changes, `helm upgrade` fails for users.
RELEASED = Path(__file__).with_name("released_fields.json")
#: Cases that need another release, or that change the volume itself.
_OTHER_RELEASE = {
    name for name, values in CASES.items() if {"nameOverride", "fullnameOverride"} & set(values)
}
_OTHER_VOLUME = {name for name, values in CASES.items() if "persistence" in values.get("redis", {})}


def _fixed(rendered: list[Manifest]) -> dict[str, Any]:
    """Immutable fields by object. `released_fields.json` has those of the default values."""
    found: dict[str, Any] = {}
    for manifest in rendered:
        spec = manifest.get("spec") or {}
        if "helm.sh/hook" in (manifest["metadata"].get("annotations") or {}):
            # Helm creates it again each time.
            continue
        if manifest["kind"] == "Deployment":
            found[name_of(manifest)] = {"selector": spec["selector"]}
        elif manifest["kind"] == "StatefulSet":
            # The other fields of a StatefulSet are immutable.
            free = {"replicas", "template", "updateStrategy", "minReadySeconds", "ordinals"}
            free |= {"persistentVolumeClaimRetentionPolicy", "revisionHistoryLimit"}
            found[name_of(manifest)] = {key: value for key, value in spec.items() if key not in free}
        elif manifest["kind"] == "Service":
            found[name_of(manifest)] = {"clusterIP": spec.get("clusterIP"), "selector": spec["selector"]}
        elif manifest["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            found[name_of(manifest)] = {"roleRef": manifest["roleRef"]}
        elif manifest["kind"] == "PersistentVolumeClaim":
            found[name_of(manifest)] = spec
    return found


@pytest.fixture
def next_chart(tmp_path: Path) -> Path:
    """The same chart with a later version."""
    folder = copytree(CHART, tmp_path / "kelery")
    lines = (folder / "Chart.yaml").read_text().splitlines()
    bumped = [
        f"{line.partition(':')[0]}: 99.0.0" if line.startswith(("version:", "appVersion:")) else line
        for line in lines
    ]
    (folder / "Chart.yaml").write_text("\n".join(bumped) + "\n")
    return folder


def test_released_fields_stay(helm: Helm) -> None:
    assert _fixed(helm.template()) == json.loads(RELEASED.read_text())


def test_a_later_version_changes_no_immutable_field(helm: Helm, next_chart: Path) -> None:
    later = helm.template(chart=next_chart)
    assert "99.0.0" in json.dumps(later)
    assert _fixed(later) == _fixed(helm.template())


@pytest.mark.parametrize("case", sorted(set(CASES) - _OTHER_RELEASE - _OTHER_VOLUME))
def test_no_value_changes_an_immutable_field(helm: Helm, case: str) -> None:
    before, after = _fixed(helm.template()), _fixed(helm.template(CASES[case]))
    assert {name: after[name] for name in before if name in after} == {
        name: fields for name, fields in before.items() if name in after
    }


def test_common_labels_are_on_every_object_and_pod(helm: Helm) -> None:
    rendered = helm.template(CASES["common-metadata"])
    for manifest in rendered:
        labels, annotations = manifest["metadata"]["labels"], manifest["metadata"]["annotations"]
        assert labels["example.com/owner"] == "ops", name_of(manifest)
        assert labels["example.com/tier"] == "one", name_of(manifest)
        assert annotations["example.com/url"] == "https://example.com", name_of(manifest)
    for manifest in of_kind(rendered, "Deployment", "StatefulSet"):
        assert manifest["spec"]["template"]["metadata"]["labels"]["example.com/owner"] == "ops"


def test_a_changed_secret_restarts_the_pods(helm: Helm) -> None:
    def checksums(url: str) -> list[str]:
        rendered = helm.template({"redis": {"enabled": False}, "broker": {"url": url}})
        workloads = of_kind(rendered, "Deployment")
        return [
            json.dumps(manifest["spec"]["template"]["metadata"].get("annotations")) for manifest in workloads
        ]

    first, second = checksums("redis://one:6379/0"), checksums("redis://two:6379/0")
    assert all(one != two for one, two in zip(first, second, strict=True))


def test_the_operator_has_one_pod_even_during_an_upgrade(helm: Helm) -> None:
    [operator] = [
        m for m in of_kind(helm.template(), "Deployment") if m["metadata"]["name"].endswith("-operator")
    ]
    assert operator["spec"]["strategy"] == {"type": "Recreate"}
    assert operator["spec"]["replicas"] == 1
