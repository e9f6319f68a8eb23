"""The operator's environment."""

from __future__ import annotations

import pytest

from kelery.errors import SettingsError
from kelery_operator.settings import operator_settings

REDIS = {"KELERY_REDIS_URL": "redis://:s3cret@127.0.0.1:6379/0"}


def test_the_defaults() -> None:
    settings = operator_settings(REDIS)
    assert (settings.namespaces, settings.cluster_id, settings.default_ttl_seconds) == ((), "", 86400)
    assert (settings.health_host, settings.health_port, settings.log_format) == ("127.0.0.1", 8081, "json")
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
    assert (settings.health_host, settings.health_port, settings.log_format) == ("::1", 9000, "text")
    assert (settings.resync_seconds, settings.sweep_seconds) == (5, 7)


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
