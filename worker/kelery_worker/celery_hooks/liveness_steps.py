"""The boot steps of the liveness file: one starts it, one reports that the consumer's event loop runs."""

from __future__ import annotations

import os
from typing import Any

from celery import bootsteps

from kelery_worker.celery_hooks.keeper_step import KeeperStep
from kelery_worker.celery_hooks.liveness_file import BEAT_SECONDS, LivenessFile
from kelery_worker.lease import keeper_access
from kelery_worker.runs.pool_signals import can_kill
from kelery_worker.settings import HEARTBEAT_FILE


def install(worker: Any) -> None:
    """Add the steps to a worker that is being built, if a file is set."""
    if HEARTBEAT_FILE.read(os.environ):
        worker.app.steps["worker"].add(LivenessFileStep)
        worker.app.steps["consumer"].add(LoopStep)


class LivenessFileStep(bootsteps.StartStopStep):
    """Starts the file after the keeper; like the keeper, it lasts until the process ends."""

    requires = (KeeperStep,)

    def start(self, parent: Any) -> None:
        """Start it, and attach it to the worker for LoopStep."""
        keeper = keeper_access.get()
        assert keeper is not None
        file = HEARTBEAT_FILE.read(os.environ)
        parent.kelery_liveness_file = LivenessFile(file, keeper=keeper, looks_at_loop=can_kill(parent.pool))
        parent.kelery_liveness_file.start()

    def stop(self, parent: Any) -> None:
        """Do nothing: a worker that shuts down must stay visible."""

    def terminate(self, parent: Any) -> None:
        """Do nothing, for the same reason."""


class LoopStep(bootsteps.StartStopStep):
    """Makes the consumer's event loop report every second; restarted with each new connection."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Add a timer to the loop."""
        looped = parent.controller.kelery_liveness_file.looped
        self._timer = parent.timer.call_repeatedly(BEAT_SECONDS, looped)

    def stop(self, parent: Any) -> None:
        """Remove the timer; the next start adds another."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
