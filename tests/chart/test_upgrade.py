"""From one release to the next: what Kubernetes lets nobody change stays as it is."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from tests.chart.cases import CASES
from tests.chart.rendered import name_of, of_kind
from tests.support.helm import CHART, Helm, Manifest

#: Names and fields that were released. A change means that somebody's `helm upgrade` fails.
RELEASED = Path(__file__).with_name("released_fields.json")
#: Values that a person changes by making another release, or that change the volume itself.
_OTHER_RELEASE = {
    name for name, values in CASES.items() if {"nameOverride", "fullnameOverride"} & set(values)
}
_OTHER_VOLUME = {name for name, values in CASES.items() if "persistence" in values.get("redis", {})}


def _fixed(rendered: list[Manifest]) -> dict[str, Any]:
    """What cannot be changed in place, by object; `released_fields.json` is this of the default values."""
    found: dict[str, Any] = {}
    for manifest in rendered:
        spec = manifest.get("spec") or {}
        if "helm.sh/hook" in (manifest["metadata"].get("annotations") or {}):
            # Made anew each time.
            continue
        if manifest["kind"] == "Deployment":
            found[name_of(manifest)] = {"selector": spec["selector"]}
        elif manifest["kind"] == "StatefulSet":
            # All of a StatefulSet but these is fixed.
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
    """The same chart a version later."""
    folder = copytree(CHART, tmp_path / "kelery")
    lines = (folder / "Chart.yaml").read_text().splitlines()
    bumped = [
        f"{line.partition(':')[0]}: 99.0.0" if line.startswith(("version:", "appVersion:")) else line
        for line in lines
    ]
    (folder / "Chart.yaml").write_text("\n".join(bumped) + "\n")
    return folder


def test_what_was_released_stays(helm: Helm) -> None:
    assert _fixed(helm.template()) == json.loads(RELEASED.read_text())


def test_the_next_version_touches_no_selector_and_no_claim(helm: Helm, next_chart: Path) -> None:
    later = helm.template(chart=next_chart)
    assert "99.0.0" in json.dumps(later)
    assert _fixed(later) == _fixed(helm.template())


@pytest.mark.parametrize("case", sorted(set(CASES) - _OTHER_RELEASE - _OTHER_VOLUME))
def test_no_value_that_is_switched_touches_them(helm: Helm, case: str) -> None:
    before, after = _fixed(helm.template()), _fixed(helm.template(CASES[case]))
    assert {name: after[name] for name in before if name in after} == {
        name: fields for name, fields in before.items() if name in after
    }


def test_common_labels_reach_every_object_and_pod_but_no_selector(helm: Helm) -> None:
    rendered = helm.template(CASES["common-metadata"])
    for manifest in rendered:
        labels, annotations = manifest["metadata"]["labels"], manifest["metadata"]["annotations"]
        assert labels["example.com/owner"] == "ops", name_of(manifest)
        assert labels["example.com/tier"] == "one", name_of(manifest)
        assert annotations["example.com/url"] == "https://example.com", name_of(manifest)
    for manifest in of_kind(rendered, "Deployment", "StatefulSet"):
        assert manifest["spec"]["template"]["metadata"]["labels"]["example.com/owner"] == "ops"


def test_a_changed_secret_makes_new_pods(helm: Helm) -> None:
    def checksums(url: str) -> list[str]:
        rendered = helm.template({"redis": {"enabled": False}, "broker": {"url": url}})
        workloads = of_kind(rendered, "Deployment")
        return [
            json.dumps(manifest["spec"]["template"]["metadata"].get("annotations")) for manifest in workloads
        ]

    first, second = checksums("redis://one:6379/0"), checksums("redis://two:6379/0")
    assert all(one != two for one, two in zip(first, second, strict=True))


def test_the_operator_is_never_there_twice(helm: Helm) -> None:
    [operator] = [
        m for m in of_kind(helm.template(), "Deployment") if m["metadata"]["name"].endswith("-operator")
    ]
    assert operator["spec"]["strategy"] == {"type": "Recreate"}
    assert operator["spec"]["replicas"] == 1
