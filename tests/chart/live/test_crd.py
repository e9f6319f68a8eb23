"""The CRD is part of the release: upgrades change it, and Helm checks its ownership."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import yaml

from tests.chart.live_release import LiveRelease
from tests.support.helm import CHART, Manifest

CRD = "taskruns.kelery.dev"
FILE = Path("files/crds/taskruns.kelery.dev.yaml")


def _without_priority(crd: Manifest) -> Manifest:
    del _spec_properties(crd)["priority"]
    return crd


def _spec_properties(crd: Manifest) -> dict[str, Any]:
    [version] = crd["spec"]["versions"]
    properties: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    return properties


@pytest.fixture
def older_crd() -> Manifest:
    """A CRD as before the field `priority` was added."""
    return _without_priority(yaml.safe_load((CHART / FILE).read_text()))


@pytest.fixture
def older_chart(tmp_path: Path, older_crd: Manifest) -> Path:
    folder = copytree(CHART, tmp_path / "older")
    (folder / FILE).write_text(yaml.safe_dump(older_crd))
    return folder


def test_an_upgrade_brings_the_new_fields(release: LiveRelease, older_chart: Path) -> None:
    release.install(chart=older_chart)
    assert "priority" not in _spec_properties(release.one("crd", CRD))
    release.upgrade()
    assert "priority" in _spec_properties(release.one("crd", CRD))


def test_a_crd_applied_by_hand_is_adopted_only_with_take_ownership(
    release: LiveRelease, older_crd: Manifest
) -> None:
    applied = release.plane.kubectl("apply", "--server-side", "-f", "-", input=yaml.safe_dump(older_crd))
    assert applied.returncode == 0, applied.stderr
    refused = release.try_install()
    assert refused.returncode != 0
    assert "invalid ownership metadata" in refused.stderr
    release.helm.run("uninstall", release.name, "--namespace", release.namespace, "--ignore-not-found")
    release.install(options=["--take-ownership", "--force-conflicts"])
    assert "priority" in _spec_properties(release.one("crd", CRD))


def test_a_release_without_the_crd_keeps_an_existing_one(release: LiveRelease, older_crd: Manifest) -> None:
    release.plane.kubectl("apply", "--server-side", "-f", "-", input=yaml.safe_dump(older_crd))
    release.install({"crds": {"enabled": False}})
    release.uninstall()
    assert "priority" not in _spec_properties(release.one("crd", CRD))
