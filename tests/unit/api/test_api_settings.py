"""The gateway's settings from variables and flags."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kelery.address import Address, is_loopback
from kelery.errors import SettingsError
from kelery.settings import LedgerSettings
from kelery_api import settings
from kelery_api.cli import api
from kelery_api.settings import ApiSettings, Auth
from tests.support.settings_values import settings_values

REDIS = {"KELERY_REDIS_URL": "redis://:s3cret@127.0.0.1:6379/0"}


def api_settings(environ: Mapping[str, str], *flags: str) -> ApiSettings:
    return settings.api_settings(settings_values(api, environ, *flags))


def test_the_defaults() -> None:
    settings = api_settings(REDIS)
    assert settings.address == Address(host="127.0.0.1", port=8000)
    assert (settings.metrics_address, settings.auth, settings.namespace) == (None, Auth.KUBERNETES, "default")
    assert (settings.start_task, settings.start_key) == ("demo.progress", "start")
    assert (settings.retain_seconds, settings.log_format) == (86400, "json")
    assert settings == ApiSettings(ledger=LedgerSettings(redis_url=REDIS["KELERY_REDIS_URL"]))
    assert "s3cret" not in repr(settings)


def test_every_variable_is_read() -> None:
    settings = api_settings(
        {
            **REDIS,
            "KELERY_API_ADDR": "[::1]:9000",
            "KELERY_API_METRICS_ADDR": ":9001",
            "KELERY_AUTH": "None",
            "KELERY_API_NAMESPACE": "team-a",
            "KELERY_START_TASK": "reports.make",
            "KELERY_START_KEY": "reports/daily",
            "KELERY_API_RETAIN_SECONDS": "60",
            "KELERY_LOG_FORMAT": "TEXT",
        }
    )
    assert (settings.address, str(settings.address)) == (Address(host="::1", port=9000), "[::1]:9000")
    assert settings.metrics_address == Address(host="0.0.0.0", port=9001)
    assert (settings.auth, settings.namespace) == (Auth.NONE, "team-a")
    assert (settings.start_task, settings.start_key) == ("reports.make", "reports/daily")
    assert (settings.retain_seconds, settings.log_format) == (60, "text")


def test_every_flag_is_read_and_overrides_its_variable() -> None:
    environ = {**REDIS, "KELERY_API_ADDR": ":1", "KELERY_START_KEY": "k"}
    flags = {
        "--address": ":9000",
        "--metrics-address": "[::1]:9001",
        "--auth": "none",
        "--namespace": "team-a",
        "--start-task": "reports.make",
        "--retain-seconds": "60",
        "--log-format": "text",
    }
    given = [word for flag in flags.items() for word in flag]
    assert api_settings(environ, *given, "--auth-none-anywhere") == ApiSettings(
        ledger=LedgerSettings(redis_url=REDIS["KELERY_REDIS_URL"]),
        address=Address(host="0.0.0.0", port=9000),
        metrics_address=Address(host="::1", port=9001),
        auth=Auth.NONE,
        namespace="team-a",
        start_task="reports.make",
        start_key="k",
        retain_seconds=60,
        log_format="text",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KELERY_API_ADDR", "8000"),
        ("KELERY_API_ADDR", "host:http"),
        ("KELERY_API_ADDR", "::1:8000"),
        ("KELERY_API_ADDR", "host:70000"),
        ("KELERY_API_METRICS_ADDR", "nowhere"),
        ("KELERY_AUTH", "basic"),
        ("KELERY_AUTH_NONE_ANYWHERE", "perhaps"),
        ("KELERY_API_NAMESPACE", "Upper"),
        ("KELERY_START_TASK", "two words"),
        ("KELERY_START_TASK", "zero\u200bwidth"),
        ("KELERY_START_TASK", "t" * 254),
        ("KELERY_START_KEY", "-begins-badly"),
        ("KELERY_START_KEY", "k" * 254),
        ("KELERY_API_RETAIN_SECONDS", "soon"),
        ("KELERY_LOG_FORMAT", "xml"),
    ],
)
def test_an_invalid_value_is_rejected_with_the_name_of_its_setting(name: str, value: str) -> None:
    environ = {**REDIS, "KELERY_AUTH": "none", "KELERY_API_ADDR": "0.0.0.0:8000", name: value}
    if name == "KELERY_AUTH":
        del environ["KELERY_API_ADDR"]
    with pytest.raises(SettingsError, match=name):
        api_settings(
            {**environ, "KELERY_AUTH_NONE_ANYWHERE": environ.get("KELERY_AUTH_NONE_ANYWHERE", "true")}
        )


@pytest.mark.parametrize("address", ["0.0.0.0:8000", ":8000", "[::]:8000", "192.0.2.1:8000", "gateway:8000"])
def test_no_authentication_is_rejected_on_an_address_that_others_can_reach(address: str) -> None:
    environ = {**REDIS, "KELERY_AUTH": "none", "KELERY_API_ADDR": address}
    with pytest.raises(SettingsError, match="KELERY_AUTH_NONE_ANYWHERE=true"):
        api_settings(environ)
    assert api_settings({**environ, "KELERY_AUTH_NONE_ANYWHERE": "true"}).auth is Auth.NONE


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", "LOCALHOST.", "app.localhost"]
)
def test_loopback_is_recognized_by_name_and_address(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "10.0.0.1", "localhost.example.org", "127.0.0.1.example.org"]
)
def test_an_address_that_only_looks_like_loopback_is_rejected(host: str) -> None:
    assert not is_loopback(host)
