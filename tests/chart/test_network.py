"""Egress of the operator and the gateway if it is restricted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.rendered import of_kind
from tests.support.helm import Helm


@pytest.mark.parametrize("ports", [[53], [53, 5353]])
def test_dns_is_allowed_on_the_given_ports(helm: Helm, ports: list[int]) -> None:
    """A network plug-in sees the ports of the DNS pods, which are not 53 everywhere."""
    rules = _egress(helm, {"dnsPorts": ports})
    assert rules
    for name, allowed in rules.items():
        assert {("UDP", port) for port in ports} | {("TCP", port) for port in ports} <= allowed, name


def test_by_default_dns_uses_53_and_nothing_else_is_udp(helm: Helm) -> None:
    for allowed in _egress(helm, {}).values():
        assert {port for protocol, port in allowed if protocol == "UDP"} == {53}


def _egress(helm: Helm, egress: dict[str, Any]) -> dict[str, set[tuple[str, int]]]:
    rendered = helm.template({"networkPolicy": {"egress": {"enabled": True, **egress}}})
    restricted = [policy for policy in of_kind(rendered, "NetworkPolicy") if policy["spec"].get("egress")]
    return {
        policy["metadata"]["name"]: {
            (port["protocol"], port["port"]) for rule in policy["spec"]["egress"] for port in rule["ports"]
        }
        for policy in restricted
    }
