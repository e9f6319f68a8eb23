"""The configuration of the bundled Valkey: the values in Valkey's syntax."""

from __future__ import annotations

import pytest

from tests.chart.rendered import of_kind
from tests.support.helm import Helm


@pytest.mark.parametrize(
    ("value", "written"),
    [
        # Helm reads numbers as floating point, and prints large ones with an exponent.
        (2147483648, "2147483648"),
        (0, "0"),
        (-1, "-1"),
        (0.5, "0.5"),
        ("1gb", "1gb"),
        # In YAML, an unquoted `yes` is true.
        (True, "yes"),
        (False, "no"),
    ],
)
def test_a_directive_is_in_valkeys_syntax(helm: Helm, value: object, written: str) -> None:
    lines = _configuration(helm, {"maxmemory": value}).splitlines()
    assert f"maxmemory {written}" in lines


def test_a_users_directive_replaces_the_charts(helm: Helm) -> None:
    lines = _configuration(helm, {"appendfsync": "everysec"}).splitlines()
    assert [line for line in lines if line.startswith("appendfsync ")] == ["appendfsync everysec"]


def test_it_listens_on_ipv4_and_ipv6(helm: Helm) -> None:
    """`-` before an address makes it optional."""
    assert "bind * -::*" in _configuration(helm, {}).splitlines()


def _configuration(helm: Helm, config: dict[str, object]) -> str:
    rendered = helm.template({"redis": {"config": config}})
    [text] = [m["data"]["valkey.conf"] for m in of_kind(rendered, "ConfigMap") if "valkey.conf" in m["data"]]
    assert isinstance(text, str)
    return text
