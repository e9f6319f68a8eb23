"""The operator's settings and their command options."""

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
    """The settings of one operator. Its credentials come from the kubeconfig or service account."""

    ledger: LedgerSettings
    #: The namespaces to serve. Empty means the whole cluster.
    namespaces: tuple[str, ...] = ()
    #: Empty means the uid of the namespace kube-system.
    cluster_id: str = ""
    #: For finished TaskRuns without a ttl of their own that no tool (Helm, Argo CD, Flux) manages.
    default_ttl_seconds: int = 86400
    #: The address of the health and metrics endpoints.
    health_address: Address = _HEALTH_ADDRESS
    log_format: str = "json"
    #: The interval between comparisons of the ledger with the cluster.
    resync_seconds: float = 60
    #: The interval between scans of finished TaskRuns for a changed ttl.
    sweep_seconds: float = 3600


def _namespaces(value: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name for part in value.split(",") if (name := part.strip())))
    for name in names:
        if not NAMESPACE_NAME.fullmatch(name):
            raise click.BadParameter(
                f"{value!r} contains {name!r}, which is not a namespace name: give names separated by commas,"
                " or leave it empty"
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
        help="The namespaces to serve, separated by commas.",
    ),
    Setting(
        "--cluster-id",
        "KELERY_CLUSTER_ID",
        default=_DEFAULTS.cluster_id,
        show_default="the uid of the namespace `kube-system`",
        metavar="ID",
        help="The identity of this cluster in the ledger. An operator handles only the runs of its own"
        " cluster. Set it if the operator cannot read the namespace `kube-system`.",
    ),
    Setting(
        "--default-ttl-seconds",
        "KELERY_DEFAULT_TTL_SECONDS",
        type=WholeSeconds(0, 2**31 - 1),
        default=_DEFAULTS.default_ttl_seconds,
        help="How long finished TaskRuns without `ttlSecondsAfterFinished` are kept. Ignored for TaskRuns"
        " that Helm, Argo CD or Flux manage.",
    ),
    Setting(
        "--health-address",
        "KELERY_OPERATOR_HEALTH_ADDR",
        type=address,
        metavar="HOST:PORT",
        default=str(_DEFAULTS.health_address),
        help="The address of the health and metrics endpoints. In a pod, use `0.0.0.0:8081`.",
    ),
    Setting(
        "--resync-seconds",
        "KELERY_OPERATOR_RESYNC_SECONDS",
        type=Seconds(1, 3600),
        default=_DEFAULTS.resync_seconds,
        help="The interval between comparisons of the ledger with the cluster.",
    ),
    Setting(
        "--sweep-seconds",
        "KELERY_OPERATOR_SWEEP_SECONDS",
        type=Seconds(1, 86400),
        default=_DEFAULTS.sweep_seconds,
        help="The interval between scans of finished TaskRuns for a changed `ttlSecondsAfterFinished`.",
    ),
)
OPTIONS = (*_OWN, *CONTROL_PLANE)


def operator_settings(values: Mapping[str, Any]) -> OperatorSettings:
    """The settings, from the values of OPTIONS."""
    own = {setting.name: values[setting.name] for setting in _OWN}
    return OperatorSettings(ledger=ledger_settings(values), log_format=values["log_format"], **own)
