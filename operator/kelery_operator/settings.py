"""The operator's settings from the environment, read once at start; a bad one is refused by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kelery.errors import SettingsError
from kelery.settings import NAMESPACE_NAME, LedgerSettings, for_control_plane, log_format, number


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSettings:
    """What an operator needs to know besides its credentials."""

    ledger: LedgerSettings
    #: KELERY_NAMESPACES: those it serves; none means the whole cluster.
    namespaces: tuple[str, ...] = ()
    #: KELERY_CLUSTER_ID: "" means the uid of the namespace kube-system.
    cluster_id: str = ""
    #: KELERY_DEFAULT_TTL_SECONDS: for finished runs that name no ttl and that nobody would create again.
    default_ttl_seconds: int = 86400
    #: KELERY_OPERATOR_HEALTH_ADDR
    health_host: str = "127.0.0.1"
    health_port: int = 8081
    #: KELERY_LOG_FORMAT: json or text.
    log_format: str = "json"
    #: KELERY_OPERATOR_RESYNC_SECONDS: between two comparisons of ledger and cluster.
    resync_seconds: float = 60
    #: KELERY_OPERATOR_SWEEP_SECONDS: between two looks at all finished runs for a ttl that was changed.
    sweep_seconds: float = 3600


def operator_settings(environ: Mapping[str, str]) -> OperatorSettings:
    """The settings, or SettingsError with the variable and the fix."""
    host, port = _address(environ.get("KELERY_OPERATOR_HEALTH_ADDR", "").strip() or "127.0.0.1:8081")
    ttl = number(environ, "KELERY_DEFAULT_TTL_SECONDS", default=86400, least=0, most=2**31 - 1)
    resync = number(environ, "KELERY_OPERATOR_RESYNC_SECONDS", default=60, least=1, most=3600)
    sweep = number(environ, "KELERY_OPERATOR_SWEEP_SECONDS", default=3600, least=1, most=86400)
    return OperatorSettings(
        ledger=for_control_plane(environ),
        namespaces=_namespaces(environ.get("KELERY_NAMESPACES", "")),
        cluster_id=environ.get("KELERY_CLUSTER_ID", "").strip(),
        default_ttl_seconds=int(ttl),
        health_host=host,
        health_port=port,
        log_format=log_format(environ),
        resync_seconds=resync,
        sweep_seconds=sweep,
    )


def _namespaces(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name for part in text.split(",") if (name := part.strip())))
    for name in names:
        if not NAMESPACE_NAME.fullmatch(name):
            raise SettingsError(
                f"KELERY_NAMESPACES: {name!r} is no namespace; give names separated by commas, or nothing"
            )
    return names


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise SettingsError(f"KELERY_OPERATOR_HEALTH_ADDR={text!r}: give host:port, such as 127.0.0.1:8081")
    return host.strip("[]") or "0.0.0.0", int(port)
