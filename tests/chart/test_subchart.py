"""The chart as a subchart: with conditions, twice, and with the parent's `global`."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from tests.chart.rendered import name_of, of_kind, pods
from tests.support.helm import CHART, CLUSTER_OPTIONS, Helm

_PARENT = """
apiVersion: v2
name: parent
version: 1.0.0
dependencies:
  - {name: kelery, version: ">=0.0.0-0", condition: kelery.enabled}
  - {name: kelery, version: ">=0.0.0-0", alias: second, condition: second.enabled}
"""


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parent") / "parent"
    copytree(CHART, folder / "charts" / "kelery")
    (folder / "Chart.yaml").write_text(_PARENT)
    return folder


def test_the_parents_condition_enables_it(helm: Helm, parent: Path) -> None:
    off: dict[str, Any] = {"kelery": {"enabled": False}, "second": {"enabled": False}}
    assert helm.template(off, chart=parent) == []
    on = helm.template({**off, "kelery": {"enabled": True}}, chart=parent)
    assert of_kind(on, "Deployment")


def test_unknown_globals_of_the_parent_are_accepted(helm: Helm, parent: Path) -> None:
    values = {
        "global": {"imageRegistry": "mirror.example", "storageClass": "fast", "team": {"name": "a"}},
        "second": {"enabled": False},
    }
    rendered = helm.template(values, chart=parent)
    images = {c["image"] for pod in pods(rendered) for c in pod.containers()}
    assert all(image.startswith("mirror.example/") for image in images)


def test_a_typo_is_refused_in_a_subchart(helm: Helm, parent: Path) -> None:
    done = helm.run(
        "template",
        "r",
        parent,
        *CLUSTER_OPTIONS,
        values={"kelery": {"gatewya": {}}, "second": {"enabled": False}},
    )
    assert done.returncode != 0
    assert "gatewya" in done.stderr


def test_a_parent_can_have_it_twice(helm: Helm, parent: Path) -> None:
    once_for_the_cluster = {"crds": {"enabled": False}, "policy": {"enabled": False}}
    rendered = helm.template({"second": once_for_the_cluster}, chart=parent)
    names = [(name_of(m), m["metadata"].get("namespace")) for m in rendered]
    assert len(names) == len(set(names))
