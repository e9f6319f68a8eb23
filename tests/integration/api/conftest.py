"""Real gateways as processes, on the session's Valkey unless a test brings its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gateway_process import GatewayProcess

StartGateway = Callable[..., GatewayProcess]


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


@pytest.fixture
def gateway_process(start_gateway: StartGateway) -> GatewayProcess:
    """One that is ready."""
    return start_gateway()
