"""Redis away, in each of its ways: the gateway says so in time, stays alive, and recovers by itself.

One gateway lives through the outages one after the other.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from kelery_dev.stack.valkey import ValkeyServer
from kelery_dev.supervise.ports import free_port
from tests.integration.api.conftest import StartGateway
from tests.support.frozen_process import frozen
from tests.support.gateway_process import Answer, GatewayProcess

RUNS = "/v1/namespaces/default/taskruns"
#: What is promised is 2 s; the rest is for a machine that is busy with other things.
IN_TIME = 6


def start_a_run(gateway: GatewayProcess) -> Answer:
    return gateway.ask(RUNS, method="POST", body={"spec": {"task": "demo.add", "args": [1, 2]}}, timeout=30)


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
    gateway_process: GatewayProcess, gateway_valkey: ValkeyServer
) -> None:
    assert start_a_run(gateway_process).status == 202
    with frozen(gateway_valkey.pid):
        # Over the connection that was good, over new ones, and many at once.
        with ThreadPoolExecutor(max_workers=8) as together:
            for answer in together.map(lambda _: start_a_run(gateway_process), range(16)):
                assert_says_so(answer)
        gateway_process.wait_until_not_ready()
        assert gateway_process.ask("/livez").status == 200
    gateway_process.wait_until_ready()
    assert start_a_run(gateway_process).status == 202


def test_a_redis_that_crashed_is_followed_again(
    gateway_process: GatewayProcess, gateway_valkey: ValkeyServer
) -> None:
    gateway_valkey.kill()
    assert_says_so(gateway_process.ask(RUNS))
    gateway_process.wait_until_not_ready()
    gateway_valkey.start()
    gateway_process.wait_until_ready()
    assert start_a_run(gateway_process).status == 202


def test_a_restarted_redis_costs_no_request_once_it_is_back(
    gateway_process: GatewayProcess, gateway_valkey: ValkeyServer
) -> None:
    """The pooled connections are all dead then, and the first request must not pay for it."""
    with ThreadPoolExecutor(max_workers=8) as together:

        def statuses() -> set[int]:
            return {answer.status for answer in together.map(lambda _: gateway_process.ask(RUNS), range(32))}

        assert statuses() == {200}
        gateway_valkey.kill()
        gateway_valkey.start()
        assert statuses() == {200}
