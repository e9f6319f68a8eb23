"""The real operator as a process, a namespace of its own in the real API server, and a worker played by hand.

The worker is played through the ledger's own calls, so that each test decides what happens at which moment.

Tests that want an operator as it comes share `operator`, its namespace and its ledger with their module; they
may kill and restart it. One that wants a special operator starts it with `start_operator`, in a namespace of
the test's own and on an empty ledger. With both in a test, `start_operator` starts one beside the shared one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kelery.kube.sync_session import SyncSession
from kelery.ledger import sync_client
from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.stack.valkey import ValkeyServer
from tests.support.cluster import Cluster
from tests.support.operator_process import OperatorProcess
from tests.support.played_worker import PlayedWorker

_numbers = itertools.count(1)

StartOperator = Callable[..., OperatorProcess]


def new_namespace(access: SyncSession) -> Cluster:
    """A fresh one."""
    space = Cluster(access, namespace=f"operator-{next(_numbers)}")
    space.create_namespace()
    return space


@pytest.fixture(scope="module")
def operator(
    control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """One that is ready and has everything as it comes."""
    with ValkeyServer() as valkey:
        process = OperatorProcess(
            {
                "KUBECONFIG": str(control_plane.kubeconfig),
                "KELERY_REDIS_URL": valkey.url,
                "KELERY_NAMESPACES": new_namespace(control_plane.access()).namespace,
            },
            log=tmp_path_factory.mktemp("operator") / "shared.log",
        )
        try:
            process.wait_until_ready()
            yield process
        finally:
            process.kill()


@pytest.fixture
def shared(request: pytest.FixtureRequest) -> OperatorProcess | None:
    """The module's operator, for a test that uses it."""
    return request.getfixturevalue("operator") if "operator" in request.fixturenames else None


@pytest.fixture
def valkey_url(shared: OperatorProcess | None, valkey_url: str) -> str:
    """The shared operator's, for a test that uses it; else the session's, emptied."""
    return shared.environment["KELERY_REDIS_URL"] if shared else valkey_url


@pytest.fixture
def cluster(
    control_plane: ControlPlane, shared: OperatorProcess | None, worker: PlayedWorker
) -> Iterator[Cluster]:
    """The shared operator's namespace, for a test that uses it; else a fresh one. It is left empty."""
    if shared is None:
        space = new_namespace(control_plane.access())
        yield space
        space.delete_all()
    else:
        space = Cluster(control_plane.access(), namespace=shared.environment["KELERY_NAMESPACES"])
        yield space
        if shared.has_ended:
            shared.restart()
        space.delete_all()
        worker.end_all()


@pytest.fixture
def ledger(valkey_url: str) -> Iterator[sync_client.Ledger]:
    """The ledger, as a worker has it."""
    client = sync_client.connect(valkey_url, timeout_seconds=5, client_name="test")
    yield sync_client.Ledger(client, prefix="kelery")
    client.close()


@pytest.fixture
def worker(ledger: sync_client.Ledger) -> PlayedWorker:
    """Takes messages, claims and settles on command."""
    return PlayedWorker(ledger)


@pytest.fixture
def start_operator(
    control_plane: ControlPlane, cluster: Cluster, valkey_url: str, tmp_path: Path
) -> Iterator[StartOperator]:
    """Starts operators for the test's namespace; all are killed in the end."""
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
