"""The heartbeat: a file that is written each second while this worker gets on, for a liveness probe to read.

Off unless KELERY_HEARTBEAT_FILE names a file; `scripts/liveness_probe.py` is what the probe runs.

Invariant: the file is written only while the ledger answers the keeper, and the consumer's event loop goes
round. A worker that drains has no such loop any more (its timers stop at SIGTERM): there the tasks that still
run take its place.

A thread of its own writes: a slow disk must not hold up the keeper, on which all leases depend, and what
stops that thread stops this one's grounds as well.
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
#: Keeper and loop come round at least once a second; older than this, one of them does not.
FRESH_SECONDS = 5.0


class LivenessFile:
    """One worker's. `write` is the only thing here that can take long."""

    def __init__(self, file: str, *, keeper: Keeper, looks_at_loop: bool) -> None:
        self._file = file
        self._keeper = keeper
        #: False where tasks run inside the loop, and hold it up as they may.
        self._looks_at_loop = looks_at_loop
        self._looped_at = float("-inf")
        self._has_beaten = self._is_silent = False
        self._thread = threading.Thread(target=self._run, name="kelery-liveness-file", daemon=True)

    def start(self) -> None:
        """Forget what an earlier worker left in the file, and begin; SettingsError if that cannot be."""
        try:
            if os.path.lexists(self._file):
                os.unlink(self._file)
            # Empty, it does not count as a heartbeat yet.
            self._write("")
        except OSError as error:
            raise SettingsError(
                f"KELERY_HEARTBEAT_FILE={self._file}: cannot write it: {error.strerror}"
            ) from error
        self._thread.start()

    def looped(self) -> None:
        """The consumer's event loop has come round."""
        self._looped_at = time.monotonic()

    def why_silent(self, now: float) -> str:
        """Why there may be no beat now; empty if there may."""
        answered, looped = now - self._keeper.answered_at, now - self._looped_at
        loop_may_stand = not self._looks_at_loop or (self._keeper.is_draining and self._has_work())
        if answered <= FRESH_SECONDS and (loop_may_stand or looped <= FRESH_SECONDS):
            return ""
        # Both: a Redis that hangs holds up the loop as well, often first.
        return (
            f"the ledger last answered {answered:.0f} s ago, "
            f"and the consumer's event loop last came round {looped:.0f} s ago"
        )

    def _has_work(self) -> bool:
        # Plain Celery tasks drain as well.
        return self._keeper.has_runs or len(state.active_requests) > 0

    def _run(self) -> None:
        while True:
            try:
                self._beat()
            except Exception as error:
                # The probe says so in the end; until then the disk may have room again.
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
            # Of one width, so that it can be written over: nobody ever reads half of it, or none.
            # Whole nanoseconds: rounded up, it would be of the future.
            self._write(f"{time.monotonic_ns():020d}\n")

    def _write(self, text: str) -> None:
        """Anew each time: it comes back if somebody has removed it."""
        file = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.pwrite(file, text.encode(), 0)
        finally:
            os.close(file)
