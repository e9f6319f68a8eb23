"""Whom operator and gateway reach when their ways out are restricted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.rendered import of_kind
from tests.support.helm import Helm


@pytest.mark.parametrize("ports", [[53], [53, 5353]])
def test_the_name_service_is_reached_on_the_ports_that_were_named(helm: Helm, ports: list[int]) -> None:
    """A network plug-in sees the ports of the name service's pods, which are not 53 everywhere."""
    rules = _ways_out(helm, {"dnsPorts": ports})
    assert rules
    for name, ways in rules.items():
        assert {("UDP", port) for port in ports} | {("TCP", port) for port in ports} <= ways, name


def test_by_default_it_is_53_and_nothing_else_is_udp(helm: Helm) -> None:
    for ways in _ways_out(helm, {}).values():
        assert {port for protocol, port in ways if protocol == "UDP"} == {53}


def _ways_out(helm: Helm, egress: dict[str, Any]) -> dict[str, set[tuple[str, int]]]:
    rendered = helm.template({"networkPolicy": {"egress": {"enabled": True, **egress}}})
    restricted = [policy for policy in of_kind(rendered, "NetworkPolicy") if policy["spec"].get("egress")]
    return {
        policy["metadata"]["name"]: {
            (port["protocol"], port["port"]) for rule in policy["spec"]["egress"] for port in rule["ports"]
        }
        for policy in restricted
    }
