"""All real parts together.

Tests that do not kill parts use `system`. A module that kills parts, or configures them differently, starts
them itself on `bare_system`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.stack.valkey import ValkeyServer
from tests.support.system import System, cluster, system

__all__ = ["cluster", "system"]


@pytest.fixture(scope="module")
def bare_system(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The API server and the module's own Valkey. The module starts the other parts."""
    with ValkeyServer() as valkey:
        yield System(plane=control_plane, valkey=valkey, folder=tmp_path_factory.mktemp("system"))
