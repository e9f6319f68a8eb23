"""The proxy for an API server: from the kubeconfig, else from the environment.

Only HTTP proxies, because the sessions support no others. Invariant: no error shows the URL, which may
contain a password.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from kelery.errors import SettingsError

_PORTS = {"https": 443, "http": 80}
WHICH = "give the address of an HTTP proxy, like http://proxy.example:3128"


def is_http_proxy(url: str) -> bool:
    """Whether the sessions can use this proxy."""
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def environment_proxy(server: str, environ: Mapping[str, str]) -> str | None:
    """The proxy in HTTPS_PROXY (HTTP_PROXY for http servers), unless NO_PROXY excludes the server."""
    parts = urlsplit(server)
    variable = f"{parts.scheme.upper()}_PROXY"
    named = environ.get(variable) or environ.get(variable.lower()) or ""
    excluded = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    if not named or _is_loopback(parts.hostname or "") or _is_excluded(parts, excluded):
        return None
    url = named if "://" in named else f"http://{named}"
    if not is_http_proxy(url):
        raise SettingsError(
            f"{variable} is not an http:// URL: {WHICH}, or exclude the cluster with NO_PROXY"
        )
    return url


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _is_excluded(server: SplitResult, excluded: str) -> bool:
    return any(_matches(server, part.strip().lower()) for part in excluded.split(",") if part.strip())


def _matches(server: SplitResult, pattern: str) -> bool:
    """Whether `*`, an address, a network, or a domain with its subdomains matches. May have a port."""
    host = server.hostname or ""
    address = _address(host)
    if pattern == "*":
        return True
    if address is not None:
        try:
            return address in ipaddress.ip_network(pattern, strict=False)
        except ValueError:
            pass
    name, colon, port = pattern.rpartition(":")
    if colon and port.isdecimal():
        if int(port) != (server.port or _PORTS.get(server.scheme)):
            return False
        pattern = name.strip("[]")
    domain = pattern.lstrip("*").lstrip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
