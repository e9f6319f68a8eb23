"""Settings: every variable is read, a bad one is refused by its name, and no secret gets into a message."""

import pytest

from kelery import settings
from kelery.errors import SettingsError

URL = "redis://:s3cret@redis.example:6379/3"


def test_control_plane_takes_its_own_variable_before_the_shared_one() -> None:
    assert (
        settings.for_control_plane({"KELERY_REDIS_URL": URL, "REDIS_URL": "redis://other"}).redis_url == URL
    )
    assert settings.for_control_plane({"REDIS_URL": URL}).redis_url == URL


def test_worker_falls_back_to_its_apps_broker_and_ignores_the_shared_variable() -> None:
    assert settings.for_worker({"KELERY_REDIS_URL": URL}, broker_url="redis://broker").redis_url == URL
    assert settings.for_worker({"REDIS_URL": "redis://other"}, broker_url=URL).redis_url == URL


def test_every_variable_is_read() -> None:
    environ = {
        "REDIS_URL": URL,
        "KELERY_PREFIX": "tenant-a",
        "KELERY_DEFAULT_QUEUE": "batch",
        "KELERY_BROKER_KEY_PREFIX": "app:",
        "KELERY_LEASE_SECONDS": "30",
    }
    read = settings.for_control_plane(environ)
    assert read == settings.LedgerSettings(
        redis_url=URL,
        prefix="tenant-a",
        default_queue="batch",
        broker_key_prefix="app:",
        lease=settings.Lease(seconds=30),
    )
    assert read.queue_key("batch") == "app:batch"


def test_empty_variables_mean_the_defaults() -> None:
    names = ("KELERY_PREFIX", "KELERY_DEFAULT_QUEUE", "KELERY_BROKER_KEY_PREFIX", "KELERY_LEASE_SECONDS")
    read = settings.for_control_plane({"REDIS_URL": URL, **dict.fromkeys(names, " ")})
    assert read == settings.LedgerSettings(redis_url=URL)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KELERY_PREFIX", "with space"),
        ("KELERY_PREFIX", "x" * 101),
        ("KELERY_LEASE_SECONDS", "soon"),
        ("KELERY_LEASE_SECONDS", "2.9"),
        ("KELERY_LEASE_SECONDS", "601"),
        ("KELERY_LEASE_SECONDS", "nan"),
    ],
)
def test_an_unusable_value_is_refused_by_its_variables_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings.for_control_plane({"REDIS_URL": URL, name: value})


def test_a_missing_url_names_the_variables_to_set() -> None:
    with pytest.raises(SettingsError, match="KELERY_REDIS_URL or REDIS_URL"):
        settings.for_control_plane({})
    with pytest.raises(SettingsError, match="KELERY_REDIS_URL"):
        settings.for_worker({"REDIS_URL": URL}, broker_url=None)


@pytest.mark.parametrize(
    "url", ["amqp://guest:s3cret@rabbit", "memory://:s3cret@", "s3cret", "sentinel://:s3cret@h"]
)
def test_a_broker_that_is_no_redis_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match=r"must be the URL of the Redis|several servers") as refused:
        settings.for_worker({}, broker_url=url)
    assert "s3cret" not in str(refused.value)
    assert "broker URL" in str(refused.value)


def test_the_password_is_not_in_the_repr() -> None:
    assert "s3cret" not in repr(settings.for_control_plane({"REDIS_URL": URL}))


def test_a_worker_kills_its_runs_well_before_an_observer_may_take_them() -> None:
    for seconds in (3.0, 15.0, 600.0):
        lease = settings.Lease(seconds=seconds)
        assert lease.renew_every * 3 <= lease.self_fence < lease.stand_still <= seconds
        assert lease.stand_still - lease.self_fence >= seconds / 5
