"""Redis becomes unavailable and comes back. The TaskRuns show it, and nothing is lost."""

from __future__ import annotations

from kelery.ledger import sync_client
from kelery_dev.stack.valkey import ValkeyServer
from tests.integration.operator.conftest import StartOperator
from tests.support.cluster import Cluster
from tests.support.played_worker import PlayedWorker
from tests.support.polling import poll_until


def played(server: ValkeyServer) -> PlayedWorker:
    """A worker on that server."""
    client = sync_client.connect(server.url, timeout_seconds=5, client_name="test")
    return PlayedWorker(sync_client.Ledger(client, prefix="kelery"))


def test_while_redis_is_unavailable_new_runs_show_it_once_and_continue_later(
    cluster: Cluster, own_valkey: ValkeyServer, start_operator: StartOperator
) -> None:
    operator = start_operator(KELERY_REDIS_URL=own_valkey.url)
    worker = played(own_valkey)
    cluster.create(name="before")
    claim = worker.start_next()
    cluster.wait_for("before", phase="Running")
    own_valkey.kill()
    with cluster.watched() as watcher:
        cluster.create(name="during")

        def admitted() -> object:
            conditions = cluster.status("during").get("conditions", [])
            return [c["reason"] for c in conditions if c["type"] == "Admitted" and c["status"] == "False"]

        reasons = poll_until(admitted, seconds=30, what="LedgerUnavailable", state=operator.told)
        assert reasons == ["LedgerUnavailable"]
        assert operator.status("/livez") == 200
        assert operator.status("/readyz") == 503
        assert cluster.status("before")["phase"] == "Running"
        own_valkey.start()
        poll_until(
            lambda: operator.status("/readyz") == 200, seconds=30, what="readiness", state=operator.told
        )
        worker.succeed(claim)
        cluster.wait_for("before", phase="Succeeded")
        worker.succeed(worker.start_next())
        cluster.wait_for("during", phase="Succeeded")
        told = [change for change in watcher.changes("during") if "phase" not in change["status"]]
        assert len(told) == 1
    worker.ledger.client.close()


def test_it_starts_while_redis_is_unavailable(
    cluster: Cluster, own_valkey: ValkeyServer, start_operator: StartOperator
) -> None:
    own_valkey.kill()
    cluster.create(name="early")
    operator = start_operator(ready=False, KELERY_REDIS_URL=own_valkey.url)
    poll_until(
        lambda: any(
            c["reason"] == "LedgerUnavailable" for c in cluster.status("early").get("conditions", [])
        ),
        seconds=30,
        what="LedgerUnavailable",
        state=operator.told,
    )
    assert operator.status("/livez") == 200
    own_valkey.start()
    worker = played(own_valkey)
    worker.succeed(worker.start_next())
    cluster.wait_for("early", phase="Succeeded")
    worker.ledger.client.close()
