"""The settings of a worker and its pool children, from the environment and the Celery app."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click

from kelery.errors import SettingsError
from kelery.options import LEASE_SECONDS, PREFIX, Seconds, Secret, Setting, redis_url
from kelery.settings import Lease, LedgerSettings

REDIS_URL = Secret(
    "redis_url",
    "KELERY_REDIS_URL",
    type=redis_url,
    show_default="the app's broker URL",
    help="The Redis of the ledger. It must be the broker's Redis and the same database.",
)
DRAIN_SECONDS = Setting(
    "--drain-seconds",
    "KELERY_DRAIN_SECONDS",
    type=Seconds(0, 86400),
    default=0,
    help="How long running tasks may continue after SIGTERM. 0 means no limit.",
)
HEARTBEAT_FILE = Setting(
    "--heartbeat-file",
    "KELERY_HEARTBEAT_FILE",
    default="",
    show_default="none",
    metavar="FILE",
    help="The file for liveness probes. Its folder must exist and be writable.",
)
OPTIONS = (REDIS_URL, PREFIX, LEASE_SECONDS, DRAIN_SECONDS, HEARTBEAT_FILE)


def of_app(app: Any) -> LedgerSettings:
    """The settings; SettingsError if the app's broker cannot hold the ledger."""
    conf = app.conf
    if conf.broker_use_ssl and not os.environ.get("KELERY_REDIS_URL"):
        raise SettingsError(
            "the Celery app sets broker_use_ssl, which the ledger's connection does not support: set "
            "KELERY_REDIS_URL=rediss://host:port/db?ssl_ca_certs=FILE"
        )
    return for_worker(os.environ, broker_url=conf.broker_read_url or conf.broker_url)


def for_worker(environ: Mapping[str, str], *, broker_url: object) -> LedgerSettings:
    """With KELERY_REDIS_URL, else the app's broker: the ledger pushes to the broker's lists."""
    return LedgerSettings(
        redis_url=REDIS_URL.read(environ) or _one_broker(broker_url),
        prefix=PREFIX.read(environ),
        lease=Lease(seconds=LEASE_SECONDS.read(environ)),
    )


def _one_broker(broker_url: object) -> str:
    """The app's broker URL for redis-py; SettingsError for a URL that only Celery supports."""
    if not broker_url:
        raise SettingsError("set KELERY_REDIS_URL to the Redis that is Celery's broker")
    if not isinstance(broker_url, str) or ";" in broker_url or broker_url.startswith("sentinel:"):
        raise SettingsError(
            "the Celery app's broker URL names several servers: set KELERY_REDIS_URL to the server that "
            "holds both ledger and broker (redis://, rediss:// or unix://)"
        )
    for kombus_name in ("redis+socket://", "valkey+socket://"):
        if broker_url.startswith(kombus_name):
            broker_url = "unix://" + broker_url[len(kombus_name) :]
    try:
        return redis_url(broker_url)
    except click.BadParameter as error:
        raise SettingsError(f"the Celery app's broker URL {error.message}") from None
