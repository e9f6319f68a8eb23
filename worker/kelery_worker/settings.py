"""A worker's ledger settings, from its environment and its Celery app; pool children get the same."""

from __future__ import annotations

import os
from typing import Any

from kelery import settings
from kelery.errors import SettingsError


def of_app(app: Any) -> settings.LedgerSettings:
    """Raises SettingsError if the app's broker cannot be the ledger as well."""
    conf = app.conf
    if conf.broker_use_ssl and not os.environ.get("KELERY_REDIS_URL"):
        raise SettingsError(
            "the Celery app sets broker_use_ssl, which the ledger's connection does not know: set "
            "KELERY_REDIS_URL, rediss://host:port/db?ssl_ca_certs=FILE"
        )
    return settings.for_worker(os.environ, broker_url=conf.broker_read_url or conf.broker_url)
