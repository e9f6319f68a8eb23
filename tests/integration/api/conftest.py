"""Real gateways as processes.

A test that leaves its gateway as it was uses `gateway_process`, which its module's tests share: it gives its
runs names of its own. One that ends a gateway, or wants a special one, starts it with `start_gateway`, on an
empty ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kelery_dev.stack.valkey import ValkeyServer
from tests.support.gateway_process import GatewayProcess

StartGateway = Callable[..., GatewayProcess]


@pytest.fixture(scope="module")
def gateway_valkey() -> Iterator[ValkeyServer]:
    """The shared gateway's own, so that no other test empties it."""
    with ValkeyServer() as valkey:
        yield valkey


@pytest.fixture(scope="module")
def gateway_process(
    gateway_valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """One that is ready, without authentication."""
    log = tmp_path_factory.mktemp("gateway") / "shared.log"
    process = GatewayProcess({"KELERY_REDIS_URL": gateway_valkey.url}, log=log)
    try:
        process.wait_until_ready()
        yield process
    finally:
        process.kill()


@pytest.fixture(autouse=True)
def shared_gateway_is_alive(request: pytest.FixtureRequest) -> None:
    """A test that uses the shared gateway fails at once, with its log, if an earlier test has ended it."""
    if "gateway_process" in request.fixturenames:
        shared: GatewayProcess = request.getfixturevalue("gateway_process")
        shared.check_alive()


@pytest.fixture
def valkey_url(request: pytest.FixtureRequest, valkey_url: str) -> str:
    """The shared gateway's, for a test that uses it; else the session's, emptied."""
    if "gateway_process" in request.fixturenames:
        shared: GatewayProcess = request.getfixturevalue("gateway_process")
        return shared.redis_url
    return valkey_url


@pytest.fixture
def start_gateway(valkey_url: str, tmp_path: Path) -> Iterator[StartGateway]:
    """Starts gateways, without authentication unless told otherwise; all are stopped in the end."""
    running: list[GatewayProcess] = []

    def start(*, ready: bool = True, **environment: str) -> GatewayProcess:
        process = GatewayProcess(
            {"KELERY_REDIS_URL": valkey_url, **environment}, log=tmp_path / f"gateway-{len(running)}.log"
        )
        running.append(process)
        if ready:
            process.wait_until_ready()
        return process

    yield start
    for process in running:
        process.kill()
