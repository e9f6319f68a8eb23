"""The gateway's settings: what it needs to know, and the options that say it.

Invariant: without authentication the gateway is bound to a loopback address, unless somebody said otherwise
in so many words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

import click

from kelery.address import Address, address
from kelery.errors import SettingsError
from kelery.options import CONTROL_PLANE, Setting, WholeSeconds, ledger_settings, matching
from kelery.settings import NAMESPACE_NAME, LedgerSettings
from kelery.taskrun.spec import is_key
from kelery.taskrun.validation import is_name

_ADDRESS = Address(host="127.0.0.1", port=8000)


class Auth(Enum):
    """Who decides who may."""

    KUBERNETES = "kubernetes"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """What a gateway needs to know besides its credentials."""

    ledger: LedgerSettings
    address: Address = _ADDRESS
    #: A second listener for health and metrics, without authentication.
    metrics_address: Address | None = None
    auth: Auth = Auth.KUBERNETES
    #: Where /start, /status and /cancel work.
    namespace: str = "default"
    #: What /start runs when it is not told.
    start_task: str = "demo.progress"
    start_key: str = "start"
    #: How long finished runs born here stay.
    retain_seconds: int = 86400
    log_format: str = "json"


_DEFAULTS = ApiSettings(ledger=LedgerSettings(redis_url=""))
_OWN = (
    Setting(
        "--address",
        "KELERY_API_ADDR",
        type=address,
        metavar="HOST:PORT",
        default=str(_DEFAULTS.address),
        help="Where it listens; in a pod `0.0.0.0:8000`.",
    ),
    Setting(
        "--metrics-address",
        "KELERY_API_METRICS_ADDR",
        type=address,
        metavar="HOST:PORT",
        show_default="none",
        help="A second listener with `/livez`, `/readyz`, `/metrics` and `/queues/{queue}` only, without"
        " authentication, for kubelet, Prometheus and what scales workers.",
    ),
    Setting(
        "--auth",
        "KELERY_AUTH",
        type=click.Choice([auth.value for auth in Auth], case_sensitive=False),
        default=_DEFAULTS.auth.value,
        help="Who decides what a request may do. With `none` everybody who reaches the address may do"
        " everything.",
    ),
    Setting(
        "--namespace",
        "KELERY_API_NAMESPACE",
        metavar="NAME",
        type=matching(fits=NAMESPACE_NAME.fullmatch, what="a namespace's name"),
        default=_DEFAULTS.namespace,
        help="The namespace of `/start`, `/status` and `/cancel`.",
    ),
    Setting(
        "--start-task",
        "KELERY_START_TASK",
        metavar="NAME",
        type=matching(fits=partial(is_name, longest=253), what="a Celery task's name"),
        default=_DEFAULTS.start_task,
        help="The task that `/start` runs if a request names none.",
    ),
    Setting(
        "--start-key",
        "KELERY_START_KEY",
        metavar="KEY",
        type=matching(fits=is_key, what="letters, digits and -._:/@"),
        default=_DEFAULTS.start_key,
        help="The concurrency key of `/start` if a request names none.",
    ),
    Setting(
        "--retain-seconds",
        "KELERY_API_RETAIN_SECONDS",
        type=WholeSeconds(0, 2**31 - 1),
        default=_DEFAULTS.retain_seconds,
        help="How long finished runs that came over HTTP are kept, if their spec has no"
        " `ttlSecondsAfterFinished`.",
    ),
)
_ANYWHERE = Setting(
    "--auth-none-anywhere",
    "KELERY_AUTH_NONE_ANYWHERE",
    is_flag=True,
    default=False,
    show_default="false",
    help="Allow `--auth none` on an address that is not a loopback one.",
)
OPTIONS = (*_OWN, _ANYWHERE, *CONTROL_PLANE)


def api_settings(values: Mapping[str, Any]) -> ApiSettings:
    """By the values of OPTIONS; SettingsError says what does not go together."""
    own = {setting.name: values[setting.name] for setting in _OWN}
    settings = ApiSettings(
        ledger=ledger_settings(values),
        log_format=values["log_format"],
        **{**own, "auth": Auth(values["auth"])},
    )
    if settings.auth is Auth.NONE and not settings.address.is_loopback and not values["auth_none_anywhere"]:
        raise SettingsError(
            f"without authentication everybody who reaches {settings.address} may run tasks: give a loopback"
            " address such as 127.0.0.1:8000 (KELERY_API_ADDR, --address), or authentication"
            " (KELERY_AUTH=kubernetes, --auth kubernetes),"
            " or accept it with KELERY_AUTH_NONE_ANYWHERE=true (--auth-none-anywhere)"
        )
    return settings
