"""Real gateways as processes.

A test that does not change its gateway uses `gateway_process`, which the tests of its module share, and gives
its runs unique names. A test that stops a gateway, or needs special settings, uses `start_gateway`, with an
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
    """The shared gateway's own Valkey, so that no other test empties it."""
    with ValkeyServer() as valkey:
        yield valkey


@pytest.fixture(scope="module")
def gateway_process(
    gateway_valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """A gateway that is ready, without authentication."""
    log = tmp_path_factory.mktemp("gateway") / "shared.log"
    process = GatewayProcess({"KELERY_REDIS_URL": gateway_valkey.url}, log=log)
    try:
        process.wait_until_ready()
        yield process
    finally:
        process.kill()


@pytest.fixture(autouse=True)
def shared_gateway_is_alive(request: pytest.FixtureRequest) -> None:
    """Fail at once, with the shared gateway's log, if an earlier test has ended it."""
    if "gateway_process" in request.fixturenames:
        shared: GatewayProcess = request.getfixturevalue("gateway_process")
        shared.check_alive()


@pytest.fixture
def valkey_url(request: pytest.FixtureRequest, valkey_url: str) -> str:
    """The shared gateway's Valkey for a test that uses it; else the session's, emptied."""
    if "gateway_process" in request.fixturenames:
        shared: GatewayProcess = request.getfixturevalue("gateway_process")
        return shared.redis_url
    return valkey_url


@pytest.fixture
def start_gateway(valkey_url: str, tmp_path: Path) -> Iterator[StartGateway]:
    """Starts gateways, by default without authentication. All are stopped at the end."""
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
