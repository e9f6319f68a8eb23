"""The real parts that tests share: one control plane and one Valkey per test process.

They start at their first use. If one cannot start, the tests that use it fail. Skipping them would let the
suite pass without testing anything.
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


# On a busy machine, the time of one example does not show whether the strategy or the code is slow.
settings.register_profile("beside-others", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("beside-others")


class FilesInOrder(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """`--numprocesses`: the tests of a file stay in one process and share its fixtures.

    The tests of `tests/chart/live` also stay in one process, because they share a control plane. The other
    chart tests do so too, because they share Helm's output. Files are assigned in the order of `testpaths`:
    the files that wait most come first, and the many short ones fill the gaps at the end.
    """

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        folder = file.rpartition("/")[0]
        return folder if folder.startswith("tests/chart") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesInOrder:
    """Assigns tests to processes."""
    return FilesInOrder(config, log)


@pytest.fixture(scope="session")
def control_plane_binaries() -> Binaries:
    """kube-apiserver, etcd and kubectl, downloaded or built at the first use on a machine."""
    return find_control_plane()


@pytest.fixture(scope="session")
def control_plane(control_plane_binaries: Binaries) -> Iterator[ControlPlane]:
    """A real API server with the chart's CRD and admission policy, and a temporary etcd."""
    with ControlPlane.start(binaries=control_plane_binaries) as plane:
        yield plane


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """A real Valkey without persistence."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture
def valkey_url(valkey_server: ValkeyServer) -> str:
    """The URL of the session's Valkey, without keys and functions."""
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
        client.function_flush()
    return valkey_server.url


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A persistent server for one test, which may kill it."""
    with ValkeyServer(folder=tmp_path / "valkey", durable=True) as server:
        yield server
