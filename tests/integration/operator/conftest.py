"""The real operator as a process, a namespace of its own in the real API server, and a worker played by hand.

The worker is played through the ledger's own calls, so that each test decides what happens at which moment.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kelery.ledger import sync_client
from kelery_dev.control_plane.control_plane import ControlPlane
from tests.support.cluster import Cluster
from tests.support.operator_process import OperatorProcess
from tests.support.played_worker import PlayedWorker

_numbers = itertools.count(1)

StartOperator = Callable[..., OperatorProcess]


@pytest.fixture
def cluster(control_plane: ControlPlane) -> Iterator[Cluster]:
    """A fresh namespace; what is in it afterwards is deleted."""
    space = Cluster(control_plane.access(), namespace=f"operator-{next(_numbers)}")
    space.create_namespace()
    yield space
    space.delete_all()


@pytest.fixture
def ledger(valkey_url: str) -> Iterator[sync_client.Ledger]:
    """The ledger, as a worker has it."""
    client = sync_client.connect(valkey_url, timeout_seconds=5, client_name="test")
    yield sync_client.Ledger(client, prefix="kelery")
    client.close()


@pytest.fixture
def worker(ledger: sync_client.Ledger) -> PlayedWorker:
    """Takes messages, claims and settles when told to."""
    return PlayedWorker(ledger)


@pytest.fixture
def start_operator(
    control_plane: ControlPlane, cluster: Cluster, valkey_url: str, tmp_path: Path
) -> Iterator[StartOperator]:
    """Starts operators for the test's namespace; all are stopped in the end."""
    running: list[OperatorProcess] = []

    def start(*, ready: bool = True, **environment: str) -> OperatorProcess:
        process = OperatorProcess(
            {
                "KUBECONFIG": str(control_plane.kubeconfig),
                "KELERY_REDIS_URL": valkey_url,
                "KELERY_NAMESPACES": cluster.namespace,
                **environment,
            },
            log=tmp_path / f"operator-{len(running)}.log",
        )
        running.append(process)
        if ready:
            process.wait_until_ready()
        return process

    yield start
    for process in running:
        process.kill()


@pytest.fixture
def operator(start_operator: StartOperator) -> OperatorProcess:
    """One that is ready."""
    return start_operator()
