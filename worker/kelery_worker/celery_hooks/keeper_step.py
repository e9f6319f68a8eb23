"""The worker step that starts the keeper, after the pool and before messages are consumed.

It has no `stop`: runs that still end during a warm shutdown must be renewed and settled, so the keeper lives
until Celery says `worker_shutdown`. A cold shutdown kills what runs; the keeper does it first, so that it
knows and can say so.
"""

from __future__ import annotations

import os
from typing import Any

from celery import bootsteps, signals

from kelery.ledger import sync_client
from kelery_worker import settings as worker_settings
from kelery_worker.lease import keeper_access
from kelery_worker.lease.keeper import Keeper


class KeeperStep(bootsteps.StartStopStep):
    """Starts the keeper; see the module for why it does not stop it."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        """Connect to the ledger and start renewing; raises SettingsError if the broker is no Redis."""
        chosen = worker_settings.of_app(parent.app)
        timeout = min(1.0, chosen.lease.seconds / 15)
        client = sync_client.connect(chosen.redis_url, timeout_seconds=timeout, client_name="kelery-worker")
        keeper = Keeper(
            ledger=sync_client.Ledger(client, prefix=chosen.prefix),
            lease=chosen.lease,
            worker=parent,
            drain_seconds=worker_settings.DRAIN_SECONDS.read(os.environ),
        )
        keeper_access.put(keeper)
        keeper.start()
        signals.worker_shutting_down.connect(keeper.on_shutting_down, weak=False)
        signals.worker_shutdown.connect(keeper.on_shutdown, weak=False)

    def stop(self, parent: Any) -> None:
        """Nothing: see the module."""

    def terminate(self, parent: Any) -> None:
        """A cold shutdown: end what runs, and say so, before the pool is torn down."""
        keeper = keeper_access.get()
        if keeper is not None:
            keeper.end_all()
