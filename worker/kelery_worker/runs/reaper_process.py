"""Starts and stops the orphan reaper: a small process that outlives a killed worker just long enough to end
what its runs had started.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

from kelery_worker.runs import processes

logger = logging.getLogger("kelery.worker")

_SCRIPT = Path(__file__).parents[1] / "scripts" / "orphan_reaper.py"
_STOP_SECONDS = 2.0


class ReaperProcess:
    """The pool's children die with the worker's main process (the kernel sees to it); their own subprocesses
    do not.
    """

    def __init__(self, *, nonce: str) -> None:
        self._nonce = nonce
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; without it, everything but the end of a killed worker's subprocesses works, so a failure
        only warns.
        """
        pid = os.getpid()
        command = [
            sys.executable,
            "-I",
            "-S",
            str(_SCRIPT),
            str(pid),
            str(processes.started_at(pid)),
            self._nonce,
        ]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        except OSError as error:
            logger.warning("cannot start the orphan reaper: %s", error)

    def stop(self) -> None:
        """End it; nothing of our runs is left by now."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
