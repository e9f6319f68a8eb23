"""The heartbeat: a file that is written every second while the worker is alive, for a liveness probe.

Active if KELERY_HEARTBEAT_FILE names a file. The probe runs `scripts/liveness_probe.py`.

Invariant: the file is written only while the ledger answers the keeper and the consumer's event loop runs.
During shutdown the loop has ended (its timers stop at SIGTERM); then running tasks count instead.

A separate thread writes the file, so a slow disk does not delay the keeper, on which all leases depend.
"""

from __future__ import annotations

import os
import threading
import time

from celery.worker import state

from kelery.errors import SettingsError
from kelery_worker.lease.keeper import Keeper
from kelery_worker.relayed_log import logger

BEAT_SECONDS = 1.0
#: Keeper and loop report at least once a second; if a report is older than this, one of them hangs.
FRESH_SECONDS = 5.0


class LivenessFile:
    """The heartbeat file of one worker; only its writes can block."""

    def __init__(self, file: str, *, keeper: Keeper, looks_at_loop: bool) -> None:
        self._file = file
        self._keeper = keeper
        #: False if tasks execute inside the loop and may block it.
        self._looks_at_loop = looks_at_loop
        self._looped_at = float("-inf")
        self._has_beaten = self._is_silent = False
        self._thread = threading.Thread(target=self._run, name="kelery-liveness-file", daemon=True)

    def start(self) -> None:
        """Clear the file of an earlier worker and start; SettingsError if the file cannot be written."""
        try:
            if os.path.lexists(self._file):
                os.unlink(self._file)
            # An empty file does not count as a heartbeat.
            self._write("")
        except OSError as error:
            raise SettingsError(
                f"KELERY_HEARTBEAT_FILE={self._file}: cannot write the file: {error.strerror}"
            ) from error
        self._thread.start()

    def looped(self) -> None:
        """The consumer's event loop has run."""
        self._looped_at = time.monotonic()

    def why_silent(self, now: float) -> str:
        """Why no heartbeat may be written now; empty if it may."""
        answered, looped = now - self._keeper.answered_at, now - self._looped_at
        loop_may_stand = not self._looks_at_loop or (self._keeper.is_draining and self._has_work())
        if answered <= FRESH_SECONDS and (loop_may_stand or looped <= FRESH_SECONDS):
            return ""
        # Both: a Redis that hangs blocks the loop as well, often first.
        return (
            f"the ledger last answered {answered:.0f} s ago, "
            f"and the consumer's event loop last ran {looped:.0f} s ago"
        )

    def _has_work(self) -> bool:
        # Plain Celery tasks may also still execute.
        return self._keeper.has_runs or len(state.active_requests) > 0

    def _run(self) -> None:
        while True:
            try:
                self._beat()
            except Exception as error:
                # The disk may have room again before the probe fails.
                logger.warning("cannot write the heartbeat: %s", error)
            time.sleep(BEAT_SECONDS)

    def _beat(self) -> None:
        now = time.monotonic()
        silent = self.why_silent(now)
        if silent and self._has_beaten and not self._is_silent:
            logger.warning("no heartbeat: %s", silent)
        self._is_silent = bool(silent)
        if not silent:
            self._has_beaten = True
            # A fixed width, so that an overwrite never leaves a partial or empty file.
            # Whole nanoseconds: a rounded value could be in the future.
            self._write(f"{time.monotonic_ns():020d}\n")

    def _write(self, text: str) -> None:
        """Open the file each time: it is created again if it was removed."""
        file = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(file, text.encode(), 0)
        finally:
            os.close(file)
