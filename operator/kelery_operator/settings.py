"""The operator's settings: what it needs to know, and the options that say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from kelery.address import Address, address
from kelery.options import CONTROL_PLANE, Seconds, Setting, WholeSeconds, ledger_settings
from kelery.settings import NAMESPACE_NAME, LedgerSettings

_HEALTH_ADDRESS = Address(host="127.0.0.1", port=8081)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSettings:
    """What an operator needs to know besides its credentials."""

    ledger: LedgerSettings
    #: Those it serves; none means the whole cluster.
    namespaces: tuple[str, ...] = ()
    #: "" means the uid of the namespace kube-system.
    cluster_id: str = ""
    #: For finished runs that name no ttl and that nobody would create again.
    default_ttl_seconds: int = 86400
    #: For health and metrics.
    health_address: Address = _HEALTH_ADDRESS
    log_format: str = "json"
    #: Between two comparisons of ledger and cluster.
    resync_seconds: float = 60
    #: Between two looks at all finished runs for a ttl that was changed.
    sweep_seconds: float = 3600


def _namespaces(value: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name for part in value.split(",") if (name := part.strip())))
    for name in names:
        if not NAMESPACE_NAME.fullmatch(name):
            raise click.BadParameter(
                f"{value!r} has {name!r}, which is no namespace: give names separated by commas, or nothing"
            )
    return names


_DEFAULTS = OperatorSettings(ledger=LedgerSettings(redis_url=""))
_OWN = (
    Setting(
        "--namespaces",
        "KELERY_NAMESPACES",
        type=_namespaces,
        default="",
        metavar="NAMES",
        show_default="the whole cluster",
        help="The namespaces that it serves, separated by commas.",
    ),
    Setting(
        "--cluster-id",
        "KELERY_CLUSTER_ID",
        default=_DEFAULTS.cluster_id,
        show_default="the uid of the namespace `kube-system`",
        metavar="ID",
        help="Runs carry it. An operator looks after the runs of its own cluster only. Set it if the operator"
        " may not read the namespace `kube-system`.",
    ),
    Setting(
        "--default-ttl-seconds",
        "KELERY_DEFAULT_TTL_SECONDS",
        type=WholeSeconds(0, 2**31 - 1),
        default=_DEFAULTS.default_ttl_seconds,
        help="How long a finished TaskRun without `ttlSecondsAfterFinished` is kept. TaskRuns that Helm,"
        " Argo CD or Flux track stay.",
    ),
    Setting(
        "--health-address",
        "KELERY_OPERATOR_HEALTH_ADDR",
        type=address,
        metavar="HOST:PORT",
        default=str(_DEFAULTS.health_address),
        help="Where it serves health and metrics; in a pod `0.0.0.0:8081`.",
    ),
    Setting(
        "--resync-seconds",
        "KELERY_OPERATOR_RESYNC_SECONDS",
        type=Seconds(1, 3600),
        default=_DEFAULTS.resync_seconds,
        help="The time between two comparisons of ledger and cluster.",
    ),
    Setting(
        "--sweep-seconds",
        "KELERY_OPERATOR_SWEEP_SECONDS",
        type=Seconds(1, 86400),
        default=_DEFAULTS.sweep_seconds,
        help="The time between two looks at all finished runs for a ttl that was changed.",
    ),
)
OPTIONS = (*_OWN, *CONTROL_PLANE)


def operator_settings(values: Mapping[str, Any]) -> OperatorSettings:
    """By the values of OPTIONS."""
    own = {setting.name: values[setting.name] for setting in _OWN}
    return OperatorSettings(ledger=ledger_settings(values), log_format=values["log_format"], **own)
