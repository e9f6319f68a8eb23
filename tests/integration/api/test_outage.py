"""Redis away, in each of its ways: the gateway says so in time, stays alive, and recovers by itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from kelery_dev.stack.valkey import ValkeyServer
from kelery_dev.supervise.ports import free_port
from tests.integration.api.conftest import StartGateway
from tests.support.gateway_process import Answer, GatewayProcess

RUNS = "/v1/namespaces/default/taskruns"
#: What is promised is 2 s; the rest is for the noise of a busy machine.
IN_TIME = 2.5


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """One that a test may stop."""
    with ValkeyServer() as server:
        yield server


def start_a_run(gateway: GatewayProcess) -> Answer:
    return gateway.ask(RUNS, method="POST", body={"spec": {"task": "demo.add", "args": [1, 2]}}, timeout=10)


def assert_says_so(answer: Answer) -> None:
    assert (answer.status, answer.problem) == (503, "ledger-unavailable")
    assert answer.headers["retry-after"] == "1"
    assert answer.seconds < IN_TIME


def test_a_gateway_starts_without_redis_and_serves_once_it_is_there(start_gateway: StartGateway) -> None:
    port = free_port()
    gateway = start_gateway(ready=False, KELERY_REDIS_URL=f"redis://127.0.0.1:{port}/0")
    gateway.wait_until_alive()
    assert_says_so(start_a_run(gateway))
    assert_says_so(gateway.ask(f"{RUNS}/x"))
    readiness = gateway.ask("/readyz")
    assert (readiness.status, readiness.body) == (503, b"the ledger does not answer\n")
    with ValkeyServer(port=port):
        gateway.wait_until_ready()
        assert start_a_run(gateway).status == 202


def test_a_redis_that_hangs_is_told_in_time_and_waited_for(
    start_gateway: StartGateway, own_valkey: ValkeyServer
) -> None:
    gateway = start_gateway(KELERY_REDIS_URL=own_valkey.url)
    assert start_a_run(gateway).status == 202
    os.kill(own_valkey.pid, signal.SIGSTOP)
    try:
        # Over the connection that was good, over new ones, and many at once.
        with ThreadPoolExecutor(max_workers=8) as together:
            for answer in together.map(lambda _: start_a_run(gateway), range(16)):
                assert_says_so(answer)
        gateway.wait_until_not_ready(seconds=10)
        assert gateway.ask("/livez").status == 200
    finally:
        os.kill(own_valkey.pid, signal.SIGCONT)
    gateway.wait_until_ready(seconds=10)
    assert start_a_run(gateway).status == 202


def test_a_redis_that_crashed_is_followed_again(
    start_gateway: StartGateway, own_valkey: ValkeyServer
) -> None:
    gateway = start_gateway(KELERY_REDIS_URL=own_valkey.url)
    own_valkey.kill()
    assert_says_so(gateway.ask(RUNS))
    gateway.wait_until_not_ready(seconds=10)
    own_valkey.start()
    gateway.wait_until_ready(seconds=10)
    assert start_a_run(gateway).status == 202


def test_a_restarted_redis_costs_no_request_once_it_is_back(
    start_gateway: StartGateway, own_valkey: ValkeyServer
) -> None:
    """The pooled connections are all dead then, and the first request must not pay for it."""
    gateway = start_gateway(KELERY_REDIS_URL=own_valkey.url)
    with ThreadPoolExecutor(max_workers=8) as together:
        assert {answer.status for answer in together.map(lambda _: gateway.ask(RUNS), range(32))} == {200}
        own_valkey.kill()
        own_valkey.start()
        assert {answer.status for answer in together.map(lambda _: gateway.ask(RUNS), range(32))} == {200}
