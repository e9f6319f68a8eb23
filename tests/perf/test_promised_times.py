"""The times that the documents promise, on an idle machine."""

from __future__ import annotations

import http.client
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kelery.run.phases import Phase
from kelery_dev.stack.valkey import ValkeyServer
from kelery_dev.supervise.ports import free_port
from tests.support.frozen_process import frozen
from tests.support.gateway_process import Answer, GatewayProcess
from tests.support.ledger_probe import LedgerProbe
from tests.support.polling import poll_until
from tests.support.worker_process import WorkerProcess

RUNS = "/v1/namespaces/default/taskruns"
#: The documents promise two seconds. The rest is for the client.
OUTAGE_IS_TOLD_SECONDS = 2.5
GATEWAY_ENDS_SECONDS = 5


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    """A Valkey that a test may stop."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def second_listener() -> str:
    """The gateway's second address, for metrics and autoscalers."""
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def gateway(valkey: ValkeyServer, second_listener: str, tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway that is ready."""
    environment = {"KELERY_REDIS_URL": valkey.url, "KELERY_API_METRICS_ADDR": second_listener}
    process = GatewayProcess(environment, log=tmp_path / "gateway.log")
    try:
        process.wait_until_ready()
        yield process
    finally:
        process.kill()


def start_a_run(gateway: GatewayProcess) -> Answer:
    return gateway.ask(RUNS, method="POST", body={"spec": {"task": "demo.add", "args": [1, 2]}})


def assert_is_told_in_time(*answers: Answer) -> None:
    assert {answer.status for answer in answers} == {503}
    slowest = max(answer.seconds for answer in answers)
    print(f"503 after {slowest:.2f} s at most")
    assert slowest < OUTAGE_IS_TOLD_SECONDS


def test_the_slot_of_a_child_that_dies_is_free_within_a_second(tmp_path: Path) -> None:
    with ValkeyServer() as valkey:
        worker = WorkerProcess(url=valkey.url, log=tmp_path / "worker.log")
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


def test_a_redis_that_hangs_is_told_within_two_seconds(
    gateway: GatewayProcess, valkey: ValkeyServer, second_listener: str
) -> None:
    assert start_a_run(gateway).status == 202
    with frozen(valkey.pid):
        # Uses the existing connection and new ones, many at once.
        with ThreadPoolExecutor(max_workers=8) as together:
            assert_is_told_in_time(*together.map(lambda _: start_a_run(gateway), range(16)))
        # The endpoints that read the ledger's figures are not late either.
        for path, status in (("/metrics", 200), ("/queues/celery", 503)):
            client, began = http.client.HTTPConnection(second_listener, timeout=60), time.monotonic()
            client.request("GET", path)
            assert client.getresponse().status == status
            assert time.monotonic() - began < OUTAGE_IS_TOLD_SECONDS
            client.close()


def test_a_redis_that_crashed_is_told_within_two_seconds(
    gateway: GatewayProcess, valkey: ValkeyServer
) -> None:
    valkey.kill()
    assert_is_told_in_time(gateway.ask(RUNS), start_a_run(gateway))


def test_a_redis_that_was_never_there_is_told_within_two_seconds(tmp_path: Path) -> None:
    environment = {"KELERY_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    gateway = GatewayProcess(environment, log=tmp_path / "gateway.log")
    try:
        gateway.wait_until_alive()
        assert_is_told_in_time(start_a_run(gateway), gateway.ask(f"{RUNS}/x"))
    finally:
        gateway.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_gateway_with_open_streams_and_waits_within_five_seconds(
    gateway: GatewayProcess, number: signal.Signals
) -> None:
    path = f"{RUNS}/{start_a_run(gateway).json['metadata']['uid']}"
    clients = [http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60) for _ in range(20)]
    for client, asks in zip(clients, ["/events", "?wait=60s"] * 10, strict=True):
        client.request("GET", path + asks)
    # Includes the request for the metrics.
    in_flight = f"kelery_api_requests_in_flight {len(clients) + 1}.0"
    poll_until(lambda: in_flight in gateway.ask("/metrics").body.decode(), seconds=30, what="all to be open")
    began = time.monotonic()
    os.kill(gateway.pid, number)
    assert gateway.wait(seconds=60) == 0
    took = time.monotonic() - began
    print(f"ended {took:.2f} s after the signal")
    assert took < GATEWAY_ENDS_SECONDS
    for client in clients:
        assert client.getresponse().status == 200
        client.close()
