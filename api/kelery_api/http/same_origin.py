"""Without authentication: what a web page of somebody else makes a browser send is refused.

Whoever may reach the port may do everything then, and a browser on this machine may reach it for any page
that it shows. Its headers tell: Origin and Sec-Fetch-Site of another site, or, after DNS rebinding, a Host
that is not this machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers

from kelery.address import is_loopback

_OTHER_SITE = ("cross-site", "same-site")
#: A link to it does no harm.
_HARMLESS_PAGES = ("/docs",)


@dataclass(frozen=True, slots=True, kw_only=True)
class SameOriginOnly:
    """`loopback`: the gateway listens on a loopback address, so only names of this machine can be meant."""

    loopback: bool

    def refusal(self, headers: Headers, *, path: str) -> str:
        """Why the request is refused; empty if it is not."""
        host = headers.get("host", "")
        if self.loopback and not is_loopback(_name_in(host)):
            return "without authentication only localhost may be asked for; the Host header names another"
        if path in _HARMLESS_PAGES:
            return ""
        origin = headers.get("origin")
        if origin is not None:
            own = (f"http://{host}".lower(), f"https://{host}".lower())
            return (
                ""
                if host and origin.lower() in own
                else "without authentication no page of another origin may send requests"
            )
        if headers.get("sec-fetch-site", "").lower() in _OTHER_SITE:
            return "without authentication no page of another site may send requests"
        return ""


def _name_in(host: str) -> str:
    """`localhost:8000`, `[::1]:8000` -> the name or address in it."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
