"""Real workers and the test's own hand on the ledger.

A test that leaves its worker as it was uses `worker`, which its module's tests share. One that kills a
worker, or wants a special one, starts it with `start_worker`, on an empty ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kelery_dev.stack.valkey import ValkeyServer
from tests.support.ledger_probe import LedgerProbe
from tests.support.worker_process import WorkerProcess

StartWorker = Callable[..., WorkerProcess]


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """One worker with two children and everything as it comes, with a Valkey of its own."""
    with ValkeyServer() as valkey:
        log = tmp_path_factory.mktemp("worker") / "shared.log"
        process = WorkerProcess(url=valkey.url, log=log, name="shared")
        try:
            process.wait_until_ready()
            yield process
        finally:
            process.close()


@pytest.fixture
def valkey_url(request: pytest.FixtureRequest, valkey_url: str) -> str:
    """The shared worker's, for a test that uses it; else the session's, emptied."""
    if "worker" in request.fixturenames:
        shared: WorkerProcess = request.getfixturevalue("worker")
        assert shared.process.poll() is None, f"the shared worker has ended:\n{shared.output()}"
        return shared.url
    return valkey_url


@pytest.fixture
def probe(request: pytest.FixtureRequest, valkey_url: str) -> Iterator[LedgerProbe]:
    """On the ledger of the test's worker."""
    probe = LedgerProbe(valkey_url)
    yield probe
    if "worker" in request.fixturenames:
        probe.end_all()


@pytest.fixture
def start_worker(valkey_url: str, tmp_path: Path) -> Iterator[StartWorker]:
    """Start a worker and wait until it is ready; all are gone after the test."""
    started: list[WorkerProcess] = []

    def start(
        *args: str,
        app: str = "user_app",
        url: str | None = None,
        lease: float = 15,
        env: dict[str, str] | None = None,
        concurrency: int = 2,
    ) -> WorkerProcess:
        name = f"w{len(started)}"
        worker = WorkerProcess(
            url=url or valkey_url,
            log=tmp_path / f"{name}.log",
            app=app,
            name=name,
            lease=lease,
            args=("-c", str(concurrency), *args),
            env=env or {},
        )
        started.append(worker)
        worker.wait_until_ready()
        return worker

    yield start
    for worker in started:
        worker.close()
