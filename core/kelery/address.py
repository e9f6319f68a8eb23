"""Where operator and gateway listen: `host:port`, as people write it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address(value: str) -> Address:
    """The type of addresses for `kelery.options`; without a host it is every one of this machine's."""
    host, colon, port = value.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    # An IPv6 address without brackets would be split in the wrong place.
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in bare and bare == host):
        example = "such as 127.0.0.1:8000 or [::1]:8000"
        raise click.BadParameter(f"{value!r} is no address: give host:port, {example}")
    return Address(host=bare or "0.0.0.0", port=int(port))


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own, whatever a name server says."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
