"""Settings: every variable is read, a bad one is refused by its name, and no secret gets into a message."""

from __future__ import annotations

from collections.abc import Mapping

import click
import pytest

from kelery.errors import SettingsError
from kelery.options import CONTROL_PLANE, LEASE_SECONDS, LOG_FORMAT, PREFIX, Command, Setting, ledger_settings
from kelery.settings import Lease, LedgerSettings
from tests.support.settings_values import settings_values

URL = "redis://:s3cret@redis.example:6379/3"


def for_control_plane(environ: Mapping[str, str], *flags: str) -> LedgerSettings:
    return ledger_settings(settings_values(Command("any", settings=CONTROL_PLANE), environ, *flags))


def test_control_plane_takes_its_own_variable_before_the_shared_one() -> None:
    assert for_control_plane({"KELERY_REDIS_URL": URL, "REDIS_URL": "redis://other"}).redis_url == URL
    assert for_control_plane({"KELERY_REDIS_URL": " ", "REDIS_URL": URL}).redis_url == URL


def test_every_variable_is_read() -> None:
    environ = {
        "REDIS_URL": URL,
        "KELERY_PREFIX": "tenant-a",
        "KELERY_DEFAULT_QUEUE": "batch",
        "KELERY_BROKER_KEY_PREFIX": "app:",
        "KELERY_LEASE_SECONDS": "30",
    }
    read = for_control_plane(environ)
    assert read == LedgerSettings(
        redis_url=URL,
        prefix="tenant-a",
        default_queue="batch",
        broker_key_prefix="app:",
        lease=Lease(seconds=30),
    )
    assert read.queue_key("batch") == "app:batch"


def test_empty_variables_and_flags_mean_the_defaults() -> None:
    names = ("KELERY_PREFIX", "KELERY_DEFAULT_QUEUE", "KELERY_BROKER_KEY_PREFIX", "KELERY_LEASE_SECONDS")
    environ = {"REDIS_URL": URL, **dict.fromkeys(names, " ")}
    assert for_control_plane(environ) == LedgerSettings(redis_url=URL)
    flags = ("--prefix=", "--default-queue=", "--broker-key-prefix=", "--lease-seconds=")
    assert for_control_plane(environ, *flags) == LedgerSettings(redis_url=URL)


def test_a_flag_comes_before_its_variable() -> None:
    environ = {"REDIS_URL": URL, "KELERY_LEASE_SECONDS": "30", "KELERY_PREFIX": "a"}
    read = for_control_plane(environ, "--lease-seconds", "45")
    assert (read.lease.seconds, read.prefix) == (45, "a")


@pytest.mark.parametrize(
    ("name", "flag", "value", "problem"),
    [
        (
            "KELERY_PREFIX",
            "--prefix",
            "with space",
            "'with space' cannot be used: give at most 100 characters",
        ),
        ("KELERY_PREFIX", "--prefix", "x" * 101, "cannot be used: give at most 100 characters"),
        ("KELERY_LEASE_SECONDS", "--lease-seconds", "soon", "'soon' is not a number: give 3 to 600"),
        ("KELERY_LEASE_SECONDS", "--lease-seconds", "2.9", "2.9 is out of range: give 3 to 600"),
        ("KELERY_LEASE_SECONDS", "--lease-seconds", "601", "601 is out of range: give 3 to 600"),
        ("KELERY_LEASE_SECONDS", "--lease-seconds", "nan", "nan is out of range: give 3 to 600"),
        ("KELERY_LOG_FORMAT", "--log-format", "xml", "'xml' is not one of 'json', 'text'"),
    ],
)
def test_an_unusable_value_is_refused_by_the_name_it_was_given_under(
    name: str, flag: str, value: str, problem: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        for_control_plane({"REDIS_URL": URL, name: value})
    assert str(refused.value).startswith(f"{name}=")
    assert problem in str(refused.value)
    with pytest.raises(SettingsError) as refused:
        for_control_plane({"REDIS_URL": URL, name: "x"}, flag, value)
    assert str(refused.value).startswith(f"{flag}=")
    assert problem in str(refused.value)


def test_a_missing_url_names_the_variables_to_set() -> None:
    with pytest.raises(SettingsError, match="KELERY_REDIS_URL or REDIS_URL"):
        for_control_plane({})


@pytest.mark.parametrize("name", ["KELERY_REDIS_URL", "REDIS_URL"])
@pytest.mark.parametrize(
    "url", ["amqp://guest:s3cret@rabbit", "memory://:s3cret@", "s3cret", "sentinel://:s3cret@h"]
)
def test_a_url_of_another_kind_is_refused_without_showing_its_password(name: str, url: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name} must be the URL of the Redis") as refused:
        for_control_plane({name: url})
    assert "s3cret" not in str(refused.value)


def test_a_secret_has_no_flag() -> None:
    with pytest.raises(click.NoSuchOption):
        for_control_plane({}, "--redis_url", URL)


def test_the_password_is_not_in_the_repr() -> None:
    assert "s3cret" not in repr(for_control_plane({"REDIS_URL": URL}))


@pytest.mark.parametrize(
    ("setting", "environ", "value"),
    [
        (PREFIX, {}, "kelery"),
        (LEASE_SECONDS, {"KELERY_LEASE_SECONDS": "3"}, 3),
        (LOG_FORMAT, {"KELERY_LOG_FORMAT": "TEXT"}, "text"),
    ],
)
def test_a_setting_can_be_read_without_a_command(
    monkeypatch: pytest.MonkeyPatch, setting: Setting, environ: dict[str, str], value: object
) -> None:
    # The process's own environment plays no part.
    monkeypatch.setenv(setting.variables[0], "not this one")
    assert setting.read(environ) == value


def test_a_worker_kills_its_runs_well_before_an_observer_may_take_them() -> None:
    for seconds in (3.0, 15.0, 600.0):
        lease = Lease(seconds=seconds)
        assert lease.renew_every * 3 <= lease.self_fence < lease.stand_still <= seconds
        assert lease.stand_still - lease.self_fence >= seconds / 5
