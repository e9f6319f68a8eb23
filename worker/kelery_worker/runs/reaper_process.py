"""Starts and stops the orphan reaper, a small process that kills the subprocesses of runs after a killed
worker.
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
    """The orphan reaper of one worker. The kernel kills the pool children with the main process, but not
    their subprocesses.
    """

    def __init__(self, *, nonce: str) -> None:
        self._nonce = nonce
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it. A failure only logs a warning: only the subprocesses of a killed worker would survive."""
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
        """Stop it; no process of a run is left by now."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
