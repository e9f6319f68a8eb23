"""Outages of Redis: the gateway reports them, stays alive, and recovers without a restart.

One gateway goes through all outages in sequence. Each response arrives while Redis is still unavailable;
`tests/perf/test_promised_times.py` tests how fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from kelery_dev.stack.valkey import ValkeyServer
from kelery_dev.supervise.ports import free_port
from tests.integration.api.conftest import StartGateway
from tests.support.frozen_process import frozen
from tests.support.gateway_process import Answer, GatewayProcess

RUNS = "/v1/namespaces/default/taskruns"


@pytest.fixture
def mortal_valkey(gateway_process: GatewayProcess, gateway_valkey: ValkeyServer) -> Iterator[ValkeyServer]:
    """The shared gateway's Valkey, which a test can kill. It runs again before the next test."""
    yield gateway_valkey
    gateway_valkey.kill()
    gateway_valkey.start()
    gateway_process.wait_until_ready()


def start_a_run(gateway: GatewayProcess) -> Answer:
    return gateway.ask(RUNS, method="POST", body={"spec": {"task": "demo.add", "args": [1, 2]}})


def assert_says_so(answer: Answer) -> None:
    assert (answer.status, answer.problem) == (503, "ledger-unavailable")
    assert answer.headers["retry-after"] == "1"


def test_a_gateway_starts_without_redis_and_serves_once_it_is_available(start_gateway: StartGateway) -> None:
    port = free_port()
    gateway = start_gateway(ready=False, KELERY_REDIS_URL=f"redis://127.0.0.1:{port}/0")
    gateway.wait_until_alive()
    assert_says_so(start_a_run(gateway))
    assert_says_so(gateway.ask(f"{RUNS}/x"))
    readiness = gateway.ask("/readyz")
    assert (readiness.status, readiness.body) == (503, b"the ledger (Redis) does not respond\n")
    with ValkeyServer(port=port):
        gateway.wait_until_ready()
        assert start_a_run(gateway).status == 202


def test_a_hanging_redis_gives_503_and_the_gateway_recovers(
    gateway_process: GatewayProcess, gateway_valkey: ValkeyServer
) -> None:
    assert start_a_run(gateway_process).status == 202
    with frozen(gateway_valkey.pid):
        # Over the existing connection, over new ones, and many at once.
        with ThreadPoolExecutor(max_workers=8) as together:
            for answer in together.map(lambda _: start_a_run(gateway_process), range(16)):
                assert_says_so(answer)
        gateway_process.wait_until_not_ready()
        assert gateway_process.ask("/livez").status == 200
    gateway_process.wait_until_ready()
    assert start_a_run(gateway_process).status == 202


def test_a_redis_that_crashed_is_followed_again(
    gateway_process: GatewayProcess, mortal_valkey: ValkeyServer
) -> None:
    mortal_valkey.kill()
    assert_says_so(gateway_process.ask(RUNS))
    gateway_process.wait_until_not_ready()
    mortal_valkey.start()
    gateway_process.wait_until_ready()
    assert start_a_run(gateway_process).status == 202


def test_no_request_fails_after_redis_has_restarted(
    gateway_process: GatewayProcess, mortal_valkey: ValkeyServer
) -> None:
    """All pooled connections are dead then, and the first request must not fail because of that."""
    with ThreadPoolExecutor(max_workers=8) as together:

        def statuses() -> set[int]:
            return {answer.status for answer in together.map(lambda _: gateway_process.ask(RUNS), range(32))}

        assert statuses() == {200}
        mortal_valkey.kill()
        mortal_valkey.start()
        assert statuses() == {200}
