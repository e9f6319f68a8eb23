"""The figures of queues for autoscalers on a real gateway, and no zeros during an outage."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from kelery.ledger import commands, queries, sync_client
from kelery.ledger.types import Claim
from kelery_api.ops.queue_stats import KEPT_SECONDS
from kelery_dev.stack.valkey import ValkeyServer
from kelery_dev.supervise.ports import free_port
from tests.support.frozen_process import frozen
from tests.support.gateway_process import GatewayProcess
from tests.support.polling import poll_until

RUNS = "/v1/namespaces/default/taskruns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A gateway with its metrics listener, and their Redis."""

    gateway: GatewayProcess
    valkey: ValkeyServer
    port: int

    def get(self, path: str) -> tuple[int, str]:
        """GET from the metrics listener: status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def queue(self, name: str) -> dict[str, Any]:
        status, body = self.get(f"/queues/{name}")
        assert status == 200, body
        figures: dict[str, Any] = json.loads(body)
        return figures

    def submit(self, queue: str) -> str:
        """Submit a run; its uid."""
        spec = {"task": "demo.add", "args": [1, 2], "queue": queue}
        answer = self.gateway.ask(RUNS, method="POST", body={"spec": spec})
        assert answer.status == 202
        return str(answer.json["metadata"]["uid"])

    def wait_for(self, name: str, **expected: object) -> None:
        poll_until(
            lambda: self.queue(name) == {"queue": name, **expected},
            seconds=KEPT_SECONDS + 30,
            what=f"{name}: {expected}",
            state=lambda: self.queue(name),
            every=0.2,
        )


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Shared by all tests; each uses its own queues."""
    port = free_port()
    log = tmp_path_factory.mktemp("watched") / "gateway.log"
    with ValkeyServer() as valkey:
        environment = {"KELERY_REDIS_URL": valkey.url, "KELERY_API_METRICS_ADDR": f"127.0.0.1:{port}"}
        gateway = GatewayProcess(environment, log=log)
        try:
            gateway.wait_until_ready()
            yield Watched(gateway=gateway, valkey=valkey, port=port)
        finally:
            gateway.kill()


def test_the_figures_of_a_queue_match_the_ledger(watched: Watched) -> None:
    uid, *_ = [watched.submit(queue) for queue in ("reports/a", "reports/a", "reports/a", "celery")]
    client = sync_client.connect(watched.valkey.url, timeout_seconds=5, client_name="test")
    info = json.dumps({"name": "w", "queues": ["reports/a", "idle"]})
    ledger = sync_client.Ledger(client, prefix="kelery")
    ledger.run(queries.present("w/1", info))
    # A worker takes the message from the queue, and then claims the run.
    client.rpop("reports/a")
    assert isinstance(ledger.run(commands.claim(uid, attempt=1, worker="w/1", nonce="n")), Claim)
    watched.wait_for("reports/a", queued=2, running=1, workers=1, load=3)
    client.close()
    watched.wait_for("celery", queued=1, running=0, workers=0, load=1)
    watched.wait_for("idle", queued=0, running=0, workers=1, load=0)
    watched.wait_for("nobodys", queued=0, running=0, workers=0, load=0)
    pages = watched.get("/metrics")[1], watched.gateway.ask("/metrics").body.decode()
    for page in pages:
        assert 'kelery_api_queue_messages{queue="reports/a"} 2.0' in page
        assert 'kelery_api_queue_running{queue="reports/a"} 1.0' in page
        assert 'kelery_api_queue_workers{queue="idle"} 1.0' in page
        assert "nobodys" not in page


def test_the_path_must_name_a_queue(watched: Watched) -> None:
    assert watched.get("/queues/")[0] == 404
    assert watched.get("/queues")[0] in (307, 404)


def test_only_the_metrics_listener_serves_queues_without_authentication(watched: Watched) -> None:
    assert watched.gateway.ask("/queues/celery").status == 404


def test_an_outage_of_the_ledger_is_not_an_idle_queue(watched: Watched) -> None:
    watched.submit("kept")
    watched.wait_for("kept", queued=1, running=0, workers=0, load=1)
    with frozen(watched.valkey.pid):
        poll_until(
            lambda: watched.get("/queues/kept")[0] == 503, seconds=KEPT_SECONDS + 30, what="503", every=0.2
        )
        # It arrives while the ledger hangs. `tests/perf/test_promised_times.py` tests how fast.
        status, page = watched.get("/metrics")
        assert status == 200
        assert "kelery_api_queue_messages{" not in page
        # Meanwhile the listener responds: nothing blocks its event loop.
        assert watched.get("/livez")[0] == 200
    poll_until(lambda: watched.get("/queues/kept")[0] == 200, seconds=60, what="figures again", every=0.2)
    assert watched.queue("kept")["load"] == 1
