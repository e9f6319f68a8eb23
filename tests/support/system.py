"""All real parts together: API server, operator, Valkey, and a worker with a user's unmodified Celery app.

The tests of a module share the parts if they do not kill them. Each test has its own namespace. A module that
kills parts starts its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.stack.valkey import ValkeyServer
from tests.support.cluster import Cluster
from tests.support.gateway_process import GatewayProcess
from tests.support.ledger_probe import LedgerProbe
from tests.support.operator_process import OperatorProcess
from tests.support.worker_process import WorkerProcess

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """The running parts."""

    plane: ControlPlane
    valkey: ValkeyServer
    folder: Path

    def start_operator(self, **environment: str) -> OperatorProcess:
        """Start an operator and wait until it is ready."""
        operator = OperatorProcess(
            {"KUBECONFIG": str(self.plane.kubeconfig), "KELERY_REDIS_URL": self.valkey.url, **environment},
            log=self.folder / f"operator-{next(_numbers)}.log",
        )
        operator.wait_until_ready()
        return operator

    def start_worker(self, *args: str, concurrency: int = 4, lease: float = 15) -> WorkerProcess:
        """Start a worker and wait until it is ready."""
        name = f"w{next(_numbers)}"
        worker = WorkerProcess(
            url=self.valkey.url,
            log=self.folder / f"{name}.log",
            app="user_app",
            name=name,
            lease=lease,
            args=("-c", str(concurrency), *args),
            env={},
        )
        worker.wait_until_ready()
        return worker

    def start_gateway(self, **environment: str) -> GatewayProcess:
        """Start a gateway and wait until it is ready. Default: on loopback, without authentication."""
        gateway = GatewayProcess(
            {"KELERY_REDIS_URL": self.valkey.url, "KELERY_AUTH": "none", **environment},
            log=self.folder / f"gateway-{next(_numbers)}.log",
        )
        gateway.wait_until_ready()
        return gateway

    def probe(self) -> LedgerProbe:
        """Direct access to the ledger."""
        return LedgerProbe(self.valkey.url)


def new_namespace(plane: ControlPlane) -> Cluster:
    """Create a namespace; its TaskRuns."""
    space = Cluster(plane.access(), namespace=f"system-{next(_numbers)}")
    space.create_namespace()
    return space


@pytest.fixture(scope="module")
def system(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """All parts, shared by the tests of a module that do not kill them.

    They are not shared by the whole session. This operator would take every TaskRun of the cluster, also
    those of tests that start their own operator. Each of these would run twice.
    """
    with ValkeyServer() as valkey:
        parts = System(plane=control_plane, valkey=valkey, folder=tmp_path_factory.mktemp("shared-system"))
        worker = parts.start_worker()
        operator = parts.start_operator()
        yield parts
        operator.kill()
        worker.close()


@pytest.fixture
def cluster(control_plane: ControlPlane) -> Iterator[Cluster]:
    """A namespace for one test."""
    space = new_namespace(control_plane)
    yield space
    space.delete_all()
