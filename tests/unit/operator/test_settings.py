"""The operator's environment and flags."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from kelery.address import Address
from kelery.errors import SettingsError
from kelery.settings import LedgerSettings
from kelery_operator import settings
from kelery_operator.cli import operator
from kelery_operator.settings import OperatorSettings
from tests.support.settings_values import settings_values

REDIS = {"KELERY_REDIS_URL": "redis://:s3cret@127.0.0.1:6379/0"}


def operator_settings(environ: Mapping[str, str], *flags: str) -> OperatorSettings:
    return settings.operator_settings(settings_values(operator, environ, *flags))


def test_the_defaults() -> None:
    settings = operator_settings(REDIS)
    assert (settings.namespaces, settings.cluster_id, settings.default_ttl_seconds) == ((), "", 86400)
    assert (str(settings.health_address), settings.log_format) == ("127.0.0.1:8081", "json")
    assert settings == OperatorSettings(ledger=LedgerSettings(redis_url=REDIS["KELERY_REDIS_URL"]))
    assert "s3cret" not in repr(settings)


def test_every_variable_is_read() -> None:
    settings = operator_settings(
        {
            **REDIS,
            "KELERY_NAMESPACES": " a, b,a,",
            "KELERY_CLUSTER_ID": "c-1",
            "KELERY_DEFAULT_TTL_SECONDS": "60",
            "KELERY_OPERATOR_HEALTH_ADDR": "[::1]:9000",
            "KELERY_LOG_FORMAT": "TEXT",
            "KELERY_OPERATOR_RESYNC_SECONDS": "5",
            "KELERY_OPERATOR_SWEEP_SECONDS": "7",
        }
    )
    assert (settings.namespaces, settings.cluster_id, settings.default_ttl_seconds) == (("a", "b"), "c-1", 60)
    assert (settings.health_address, settings.log_format) == (Address(host="::1", port=9000), "text")
    assert (settings.resync_seconds, settings.sweep_seconds) == (5, 7)


def test_every_flag_is_read_and_comes_before_its_variable() -> None:
    environ = {**REDIS, "KELERY_NAMESPACES": "c", "KELERY_OPERATOR_SWEEP_SECONDS": "9"}
    flags = {
        "--namespaces": "a,b",
        "--cluster-id": "c-1",
        "--default-ttl-seconds": "60",
        "--health-address": ":9000",
        "--resync-seconds": "5",
        "--log-format": "text",
    }
    settings = operator_settings(environ, *(word for flag in flags.items() for word in flag))
    assert settings == OperatorSettings(
        ledger=LedgerSettings(redis_url=REDIS["KELERY_REDIS_URL"]),
        namespaces=("a", "b"),
        cluster_id="c-1",
        default_ttl_seconds=60,
        health_address=Address(host="0.0.0.0", port=9000),
        resync_seconds=5,
        sweep_seconds=9,
        log_format="text",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KELERY_NAMESPACES", "Upper"),
        ("KELERY_NAMESPACES", "a b"),
        ("KELERY_DEFAULT_TTL_SECONDS", "-1"),
        ("KELERY_DEFAULT_TTL_SECONDS", "soon"),
        ("KELERY_OPERATOR_HEALTH_ADDR", "8081"),
        ("KELERY_OPERATOR_HEALTH_ADDR", "host:port"),
        ("KELERY_OPERATOR_HEALTH_ADDR", "host:70000"),
        ("KELERY_LOG_FORMAT", "xml"),
        ("KELERY_OPERATOR_RESYNC_SECONDS", "0"),
    ],
)
def test_a_bad_value_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        operator_settings({**REDIS, name: value})


def test_without_redis_the_variables_are_named() -> None:
    with pytest.raises(SettingsError, match="KELERY_REDIS_URL or REDIS_URL"):
        operator_settings({})
