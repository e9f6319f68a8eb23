"""Processor time that a process and all below it have used."""

from __future__ import annotations

import contextlib

import psutil


def processor_seconds(pid: int) -> float:
    """User and system time so far; that of children which have ended does not count."""
    root = psutil.Process(pid)
    used = 0.0
    for process in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system
    return used
