"""A separate control plane without Kelery: the chart must install the CRD and the policies itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from kelery_dev.control_plane.binaries import Binaries
from kelery_dev.control_plane.control_plane import ControlPlane
from tests.chart.live_release import LiveRelease, remove_cluster_objects
from tests.support.helm import Helm


@pytest.fixture(scope="package")
def plane(control_plane_binaries: Binaries) -> Iterator[ControlPlane]:
    """A control plane without objects of Kelery."""
    with ControlPlane.start(binaries=control_plane_binaries) as plane:
        remove_cluster_objects(plane)
        yield plane


@pytest.fixture
def release(helm_program: Path, plane: ControlPlane, tmp_path: Path) -> Iterator[LiveRelease]:
    """A release that is not installed yet, in its own namespace."""
    helm = Helm(program=helm_program, home=tmp_path, kubeconfig=plane.kubeconfig)
    release = LiveRelease(helm=helm, plane=plane, name="kelery", namespace=f"chart-{uuid4().hex[:8]}")
    yield release
    release.remove_leftovers()
