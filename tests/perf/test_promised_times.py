"""Times that `docs/guarantees.md` promises, on a machine that does nothing else."""

from __future__ import annotations

from pathlib import Path

from kelery.run.phases import Phase
from kelery_dev.stack.valkey import ValkeyServer
from tests.support.ledger_probe import LedgerProbe
from tests.support.worker_process import WorkerProcess


def test_the_slot_of_a_child_that_dies_is_free_within_a_second(tmp_path: Path) -> None:
    with ValkeyServer() as valkey:
        worker = WorkerProcess(
            url=valkey.url,
            log=tmp_path / "worker.log",
            app="user_app",
            name="w",
            lease=15,
            args=("-c", "2"),
            env={},
        )
        try:
            worker.wait_until_ready()
            probe, took = LedgerProbe(valkey.url), []
            for _ in range(5):
                uid = probe.submit("users.dies", key="k")
                successor = probe.submit("users.echo", 1, key="k")
                record = probe.wait_for(uid)
                assert (record.phase, record.reason) == (Phase.FAILED, "WorkerLost")
                began = probe.wait_for(successor).started_at
                assert began is not None
                assert record.started_at is not None
                took.append((began - record.started_at) / 1e6)
        finally:
            worker.close()
    print(f"from the start of a task that dies to the start of its successor: {sorted(took)} s")
    assert max(took) < 1
