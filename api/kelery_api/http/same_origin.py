"""Without authentication, rejects requests that pages of other origins send with the user's browser.

Without authentication, anyone who can reach the port can do everything, and a browser can reach it for any
page that it shows. Its headers reveal such a request: Origin or Sec-Fetch-Site of another site, or, after DNS
rebinding, a Host that is not this machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers

from kelery.address import is_loopback

_OTHER_SITE = ("cross-site", "same-site")
#: Pages that other sites can link to.
_HARMLESS_PAGES = ("/docs",)


@dataclass(frozen=True, slots=True, kw_only=True)
class SameOriginOnly:
    """`loopback`: the gateway listens on a loopback address, so the Host must be this machine."""

    loopback: bool

    def refusal(self, headers: Headers, *, path: str) -> str:
        """Why the request is rejected; empty if it is allowed."""
        host = headers.get("host", "")
        if self.loopback and not is_loopback(_name_in(host)):
            return (
                "the Host header does not name this machine; use localhost or 127.0.0.1, or turn on"
                " authentication (KELERY_AUTH=kubernetes)"
            )
        if path in _HARMLESS_PAGES:
            return ""
        origin = headers.get("origin")
        if origin is not None:
            own = (f"http://{host}".lower(), f"https://{host}".lower())
            return (
                ""
                if host and origin.lower() in own
                else "the Origin header names another origin; requests from other pages are rejected while"
                " authentication is off (KELERY_AUTH=none)"
            )
        if headers.get("sec-fetch-site", "").lower() in _OTHER_SITE:
            return (
                "the Sec-Fetch-Site header names another site; requests from other pages are rejected while"
                " authentication is off (KELERY_AUTH=none)"
            )
        return ""


def _name_in(host: str) -> str:
    """The host without port and brackets: `localhost:8000` gives `localhost`, `[::1]:8000` gives `::1`."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
