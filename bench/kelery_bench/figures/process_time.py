"""Processor time that a process and all below it have used."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil


def processor_seconds(pid: int) -> float:
    """All threads' time on a processor so far; that of children which have ended does not count."""
    root = psutil.Process(pid)
    used = 0
    for process in (root, *root.children(recursive=True)):
        for thread in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
            # In nanoseconds; the usual figures come in hundredths of a second.
            with contextlib.suppress(OSError):
                used += int(thread.read_text().split()[0])
    return used / 1e9
