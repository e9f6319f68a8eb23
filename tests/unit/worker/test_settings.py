"""A worker's settings, from its environment and its app's broker."""

from __future__ import annotations

import pytest

from kelery.errors import SettingsError
from kelery.settings import Lease, LedgerSettings
from kelery_worker.settings import DRAIN_SECONDS, HEARTBEAT_FILE, for_worker

URL = "redis://:s3cret@redis.example:6379/3"


def test_worker_falls_back_to_its_apps_broker_and_ignores_the_shared_variable() -> None:
    assert for_worker({"KELERY_REDIS_URL": URL}, broker_url="redis://broker").redis_url == URL
    assert for_worker({"REDIS_URL": "redis://other"}, broker_url=URL).redis_url == URL


def test_every_variable_is_read() -> None:
    environ = {
        "KELERY_REDIS_URL": URL,
        "KELERY_PREFIX": "tenant-a",
        "KELERY_LEASE_SECONDS": "30",
        "KELERY_DRAIN_SECONDS": "2.5",
        "KELERY_HEARTBEAT_FILE": " /tmp/beat ",
    }
    read = for_worker(environ, broker_url=None)
    assert read == LedgerSettings(redis_url=URL, prefix="tenant-a", lease=Lease(seconds=30))
    assert (DRAIN_SECONDS.read(environ), HEARTBEAT_FILE.read(environ)) == (2.5, "/tmp/beat")
    assert for_worker({}, broker_url=URL) == LedgerSettings(redis_url=URL)
    assert (DRAIN_SECONDS.read({}), HEARTBEAT_FILE.read({})) == (0, "")


def test_a_socket_is_named_as_redis_py_names_it() -> None:
    for broker_url in ("redis+socket:///run/r.sock", "valkey+socket:///run/r.sock"):
        assert for_worker({}, broker_url=broker_url).redis_url == "unix:///run/r.sock"


def test_an_unusable_value_is_refused_by_its_variables_name() -> None:
    with pytest.raises(SettingsError, match=r"^KELERY_LEASE_SECONDS=0.1 is out of range: give 3 to 600$"):
        for_worker({"KELERY_LEASE_SECONDS": "0.1"}, broker_url=URL)
    with pytest.raises(
        SettingsError, match=r"^KELERY_DRAIN_SECONDS='soon' is not a number: give 0 to 86400$"
    ):
        DRAIN_SECONDS.read({"KELERY_DRAIN_SECONDS": "soon"})


def test_a_missing_url_names_the_variable_to_set() -> None:
    with pytest.raises(SettingsError, match="set KELERY_REDIS_URL"):
        for_worker({"REDIS_URL": URL}, broker_url=None)


@pytest.mark.parametrize(
    "url", ["amqp://guest:s3cret@rabbit", "memory://:s3cret@", "s3cret", "sentinel://:s3cret@h"]
)
def test_a_broker_that_is_no_redis_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match=r"must be the URL of the Redis|several servers") as refused:
        for_worker({}, broker_url=url)
    assert "s3cret" not in str(refused.value)
    assert "broker URL" in str(refused.value)
