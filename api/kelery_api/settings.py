"""The gateway's settings from the environment, read once at start; a bad one is refused by its name.

Invariant: without authentication the gateway is bound to a loopback address, unless somebody said otherwise
in so many words.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from kelery.errors import SettingsError
from kelery.settings import NAMESPACE_NAME, LedgerSettings, for_control_plane, log_format, number
from kelery.taskrun.spec import is_key

_TASK = re.compile(r"[^\x00-\x20\x7f-\xa0]{1,253}")
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("", "false", "0", "no", "off")


class Auth(Enum):
    """Who decides who may."""

    KUBERNETES = "kubernetes"
    NONE = "none"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """What a gateway needs to know besides its credentials."""

    ledger: LedgerSettings
    #: KELERY_API_ADDR
    address: Address = Address(host="127.0.0.1", port=8000)
    #: KELERY_API_METRICS_ADDR: a second listener for health and metrics, without authentication.
    metrics_address: Address | None = None
    #: KELERY_AUTH
    auth: Auth = Auth.KUBERNETES
    #: KELERY_API_NAMESPACE: where /start, /status and /cancel work.
    namespace: str = "default"
    #: KELERY_START_TASK and KELERY_START_KEY: what /start runs when it is not told.
    start_task: str = "demo.progress"
    start_key: str = "start"
    #: KELERY_API_RETAIN_SECONDS: how long finished runs born here stay.
    retain_seconds: int = 86400
    #: KELERY_LOG_FORMAT: json or text.
    log_format: str = "json"


def api_settings(environ: Mapping[str, str]) -> ApiSettings:
    """The settings, or SettingsError with the variable and the fix."""
    address = _address(environ, "KELERY_API_ADDR") or Address(host="127.0.0.1", port=8000)
    auth = _auth(environ)
    if auth is Auth.NONE and not address.is_loopback and not _flag(environ, "KELERY_AUTH_NONE_ANYWHERE"):
        raise SettingsError(
            f"KELERY_AUTH=none lets anybody run tasks who reaches KELERY_API_ADDR={address}: give a loopback "
            "address such as 127.0.0.1:8000, or KELERY_AUTH=kubernetes, or accept it with "
            "KELERY_AUTH_NONE_ANYWHERE=true"
        )
    retain = number(environ, "KELERY_API_RETAIN_SECONDS", default=86400, least=0, most=2**31 - 1)
    return ApiSettings(
        ledger=for_control_plane(environ),
        address=address,
        metrics_address=_address(environ, "KELERY_API_METRICS_ADDR"),
        auth=auth,
        namespace=_matching(
            environ,
            "KELERY_API_NAMESPACE",
            default="default",
            fits=NAMESPACE_NAME.fullmatch,
            what="a namespace's name",
        ),
        start_task=_matching(
            environ,
            "KELERY_START_TASK",
            default="demo.progress",
            fits=_TASK.fullmatch,
            what="a Celery task's name",
        ),
        start_key=_matching(
            environ, "KELERY_START_KEY", default="start", fits=is_key, what="letters, digits and -._:/@"
        ),
        retain_seconds=int(retain),
        log_format=log_format(environ),
    )


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own, whatever a name server says."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _auth(environ: Mapping[str, str]) -> Auth:
    text = environ.get("KELERY_AUTH", "").strip().lower() or Auth.KUBERNETES.value
    try:
        return Auth(text)
    except ValueError:
        raise SettingsError(f"KELERY_AUTH={text!r} is unknown: give kubernetes or none") from None


def _flag(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name, "").strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise SettingsError(f"{name}={text!r} is neither true nor false")


def _matching(
    environ: Mapping[str, str], name: str, *, default: str, fits: Callable[[str], object], what: str
) -> str:
    text = environ.get(name, "").strip() or default
    if not fits(text):
        raise SettingsError(f"{name}={text!r} cannot be used: give {what}")
    return text


def _address(environ: Mapping[str, str], name: str) -> Address | None:
    text = environ.get(name, "").strip()
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    # An IPv6 address without brackets would be split in the wrong place.
    if not colon or not port.isdecimal() or int(port) > 65535 or (":" in bare and bare == host):
        raise SettingsError(f"{name}={text!r}: give host:port, such as 127.0.0.1:8000 or [::1]:8000")
    return Address(host=bare or "0.0.0.0", port=int(port))
