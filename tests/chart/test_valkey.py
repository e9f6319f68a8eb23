"""The bundled Valkey's configuration: what the values say, in Valkey's own words."""

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
        # In YAML `yes` without quotes is true.
        (True, "yes"),
        (False, "no"),
    ],
)
def test_a_directive_is_written_as_valkey_reads_it(helm: Helm, value: object, written: str) -> None:
    lines = _configuration(helm, {"maxmemory": value}).splitlines()
    assert f"maxmemory {written}" in lines


def test_ones_own_directive_takes_the_place_of_the_charts(helm: Helm) -> None:
    lines = _configuration(helm, {"appendfsync": "everysec"}).splitlines()
    assert [line for line in lines if line.startswith("appendfsync ")] == ["appendfsync everysec"]


def test_it_listens_on_both_families_whatever_the_cluster_has(helm: Helm) -> None:
    """`-` before an address lets it be absent."""
    assert "bind * -::*" in _configuration(helm, {}).splitlines()


def _configuration(helm: Helm, config: dict[str, object]) -> str:
    rendered = helm.template({"redis": {"config": config}})
    [text] = [m["data"]["valkey.conf"] for m in of_kind(rendered, "ConfigMap") if "valkey.conf" in m["data"]]
    assert isinstance(text, str)
    return text
