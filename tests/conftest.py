"""The real parts that tests share: one control plane and one Valkey per process that runs tests.

They are started at their first use. If they cannot be had, the tests that want them fail: a suite that skips
its real parts would pass without having tested anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from kelery_dev.control_plane.binaries import Binaries
from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.control_plane.sources import find_control_plane
from kelery_dev.stack.valkey import ValkeyServer

if TYPE_CHECKING:
    from xdist.remote import Producer


# How long an example takes on a busy machine says nothing about the strategy, nor about the code.
settings.register_profile("beside-others", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("beside-others")


class FilesInOrder(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """`--numprocesses`: a file's tests stay in one process, so that they share its fixtures.

    So do those of `tests/chart/live`, which share a control plane, and the other tests of the chart, which
    share what Helm has rendered. Files are given out in the order of `testpaths`: those that wait most come
    first, and the many short ones fill the gaps at the end.
    """

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        folder = file.rpartition("/")[0]
        return folder if folder.startswith("tests/chart") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesInOrder:
    """How tests are given to processes."""
    return FilesInOrder(config, log)


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


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A durable server of the test's own, so that it may die."""
    with ValkeyServer(folder=tmp_path / "valkey", durable=True) as server:
        yield server
