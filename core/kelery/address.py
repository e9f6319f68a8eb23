"""Listen addresses of operator and gateway, in the form `host:port`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A listen address."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect to it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(value: str) -> Address:
    """The type of addresses for `kelery.options`. Without a host, it means all addresses of this machine."""
    host, colon, port = value.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    # Without brackets, an IPv6 address would be split at the wrong place.
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in bare and bare == host):
        example = "like 127.0.0.1:8000 or [::1]:8000"
        raise click.BadParameter(f"{value!r} is not an address: give host:port, {example}")
    return Address(host=bare or "0.0.0.0", port=int(port))


def is_loopback(host: str) -> bool:
    """Whether a host is a loopback name or address. Asks no name server."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
