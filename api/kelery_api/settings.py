"""The gateway's settings and their command-line options.

Invariant: without authentication, the gateway listens on a loopback address, unless `--auth-none-anywhere`
allows another one.
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
    """How requests are authenticated and authorized."""

    KUBERNETES = "kubernetes"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """The settings of one gateway, without its credentials for the cluster."""

    ledger: LedgerSettings
    address: Address = _ADDRESS
    #: A second listener for health and metrics, without authentication.
    metrics_address: Address | None = None
    auth: Auth = Auth.KUBERNETES
    #: The namespace of /start, /status and /cancel.
    namespace: str = "default"
    #: Defaults of /start.
    start_task: str = "demo.progress"
    start_key: str = "start"
    #: Retention of finished runs whose spec has no ttlSecondsAfterFinished.
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
        help="The address to listen on. In a pod, use `0.0.0.0:8000`.",
    ),
    Setting(
        "--metrics-address",
        "KELERY_API_METRICS_ADDR",
        type=address,
        metavar="HOST:PORT",
        show_default="none",
        help="A second listener without authentication, for kubelet, Prometheus and autoscalers. It serves"
        " only `/livez`, `/readyz`, `/metrics` and `/queues/{queue}`.",
    ),
    Setting(
        "--auth",
        "KELERY_AUTH",
        type=click.Choice([auth.value for auth in Auth], case_sensitive=False),
        default=_DEFAULTS.auth.value,
        help="How requests are authenticated and authorized. With `none`, anyone who can reach the address"
        " can do everything.",
    ),
    Setting(
        "--namespace",
        "KELERY_API_NAMESPACE",
        metavar="NAME",
        type=matching(fits=NAMESPACE_NAME.fullmatch, what="the name of a namespace, such as default"),
        default=_DEFAULTS.namespace,
        help="The namespace of `/start`, `/status` and `/cancel`.",
    ),
    Setting(
        "--start-task",
        "KELERY_START_TASK",
        metavar="NAME",
        type=matching(fits=partial(is_name, longest=253), what="the name of a Celery task, such as demo.add"),
        default=_DEFAULTS.start_task,
        help="The task that `/start` runs if the request names none.",
    ),
    Setting(
        "--start-key",
        "KELERY_START_KEY",
        metavar="KEY",
        type=matching(fits=is_key, what="a key of letters, digits and -._:/@"),
        default=_DEFAULTS.start_key,
        help="The concurrency key of `/start` if the request names none.",
    ),
    Setting(
        "--retain-seconds",
        "KELERY_API_RETAIN_SECONDS",
        type=WholeSeconds(0, 2**31 - 1),
        default=_DEFAULTS.retain_seconds,
        help="How long finished runs created over HTTP are kept if their spec does not set"
        " `ttlSecondsAfterFinished`.",
    ),
)
_ANYWHERE = Setting(
    "--auth-none-anywhere",
    "KELERY_AUTH_NONE_ANYWHERE",
    is_flag=True,
    default=False,
    show_default="false",
    help="Allow `--auth none` on an address other than loopback.",
)
OPTIONS = (*_OWN, _ANYWHERE, *CONTROL_PLANE)


def api_settings(values: Mapping[str, Any]) -> ApiSettings:
    """The settings from the values of OPTIONS. Raises SettingsError for a combination that is not allowed."""
    own = {setting.name: values[setting.name] for setting in _OWN}
    settings = ApiSettings(
        ledger=ledger_settings(values),
        log_format=values["log_format"],
        **{**own, "auth": Auth(values["auth"])},
    )
    if settings.auth is Auth.NONE and not settings.address.is_loopback and not values["auth_none_anywhere"]:
        raise SettingsError(
            f"KELERY_AUTH=none (--auth none) would let anyone who can reach {settings.address} run tasks."
            " Use a loopback address such as 127.0.0.1:8000 (KELERY_API_ADDR, --address),"
            " or turn on authentication with KELERY_AUTH=kubernetes (--auth kubernetes),"
            " or accept the risk with KELERY_AUTH_NONE_ANYWHERE=true (--auth-none-anywhere)"
        )
    return settings
