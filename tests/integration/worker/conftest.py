"""Real workers, and direct access to their ledger.

A test that leaves its worker unchanged uses `worker`, which the tests of a module share. A test that kills
a worker, or needs special settings, starts its own with `start_worker`, on an empty ledger.
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
    """One worker with two children, default settings and its own Valkey."""
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
    """The shared worker's Valkey if the test uses `worker`; else the session's, emptied."""
    if "worker" in request.fixturenames:
        shared: WorkerProcess = request.getfixturevalue("worker")
        assert shared.process.poll() is None, f"the shared worker has ended:\n{shared.output()}"
        return shared.url
    return valkey_url


@pytest.fixture
def probe(request: pytest.FixtureRequest, valkey_url: str) -> Iterator[LedgerProbe]:
    """A probe of the ledger that the test's worker uses."""
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
