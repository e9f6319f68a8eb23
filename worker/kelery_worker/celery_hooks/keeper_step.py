"""The worker step that starts the keeper, after the pool and before messages are consumed.

It does not stop the keeper: runs that end during a warm shutdown must be renewed and settled, so the keeper
lives until Celery's signal `worker_shutdown`. At a cold shutdown the keeper kills the runs before Celery
does, so that it can report their end.
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
        """Connect to the ledger and start renewing; SettingsError if the broker is not Redis."""
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
        """Do nothing; see the module."""

    def terminate(self, parent: Any) -> None:
        """A cold shutdown: end the runs and settle them before the pool is destroyed."""
        keeper = keeper_access.get()
        if keeper is not None:
            keeper.end_all()
