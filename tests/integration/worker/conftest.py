"""Real workers and the test's own hand on the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.ledger_probe import LedgerProbe
from tests.support.worker_process import WorkerProcess

StartWorker = Callable[..., WorkerProcess]


@pytest.fixture
def probe(valkey_url: str) -> LedgerProbe:
    """On an empty ledger."""
    return LedgerProbe(valkey_url)


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


@pytest.fixture
def worker(start_worker: StartWorker) -> WorkerProcess:
    """One worker with two children and everything as it comes."""
    return start_worker()
