"""Everything real at once; a test that kills parts starts its own on the bare system."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.stack.valkey import ValkeyServer
from tests.support.cluster import Cluster
from tests.support.operator_process import OperatorProcess
from tests.support.system import System, cluster, system

__all__ = ["cluster", "system"]


@pytest.fixture(scope="session")
def bare_system(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """API server and Valkey; the test starts the rest."""
    with ValkeyServer() as valkey:
        yield System(plane=control_plane, valkey=valkey, folder=tmp_path_factory.mktemp("system"))


@pytest.fixture
def start_operator(bare_system: System, cluster: Cluster) -> Iterator[Callable[[], OperatorProcess]]:
    """Start operators for the test's namespace on the bare system; all are gone after the test.

    Other tests of the session leave TaskRuns behind, which an operator with an empty ledger would submit.
    """
    started: list[OperatorProcess] = []

    def start() -> OperatorProcess:
        started.append(bare_system.start_operator(KELERY_NAMESPACES=cluster.namespace))
        return started[-1]

    yield start
    for operator in started:
        operator.kill()
