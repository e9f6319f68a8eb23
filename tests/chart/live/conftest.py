"""A control plane of these tests' own: the chart is to bring CRD and policies itself."""

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
    """Without anything of Kelery's in it."""
    with ControlPlane.start(binaries=control_plane_binaries) as plane:
        remove_cluster_objects(plane)
        yield plane


@pytest.fixture
def release(helm_program: Path, plane: ControlPlane, tmp_path: Path) -> Iterator[LiveRelease]:
    """A release that is not installed yet, in a namespace of its own."""
    helm = Helm(program=helm_program, home=tmp_path, kubeconfig=plane.kubeconfig)
    release = LiveRelease(helm=helm, plane=plane, name="kelery", namespace=f"chart-{uuid4().hex[:8]}")
    yield release
    release.remove_leftovers()
