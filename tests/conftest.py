"""The real parts that tests share: one control plane and one Valkey per test session.

They are started at their first use. If they cannot be had, the tests that want them fail: a suite that skips
its real parts would pass without having tested anything.
"""

from collections.abc import Iterator

import pytest
import redis

from kelery_dev.control_plane.binaries import Binaries
from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.control_plane.sources import find_control_plane
from kelery_dev.stack.valkey import ValkeyServer


@pytest.fixture(scope="session")
def control_plane_binaries() -> Binaries:
    """kube-apiserver, etcd and kubectl; downloaded or built at the first use on a machine."""
    return find_control_plane()


@pytest.fixture(scope="session")
def control_plane(control_plane_binaries: Binaries) -> Iterator[ControlPlane]:
    """A real API server with the chart's CRD and admission policy, on a throw-away etcd."""
    with ControlPlane.start(binaries=control_plane_binaries) as plane:
        yield plane


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """A real Valkey that keeps nothing on disk."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def valkey_url(valkey_server: ValkeyServer) -> str:
    """The URL of the session's Valkey, emptied: no keys, no functions."""
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
        client.function_flush()
    return valkey_server.url
