"""A script that waits until a worker's main process dies, then kills the subprocesses of its runs.

usage: orphan_reaper.py <pid> <start of that process in ticks since boot> <worker nonce>

It is a process of its own and uses only the standard library, so it starts fast and survives the worker.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

_MARKER = b"KELERY_RUN="
_SWEEP_SECONDS = 5.0
_LOOK_SECONDS = 0.5


def main(pid: int, started: str, nonce: str) -> None:
    """Wait, then kill until no marked process is left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _wait_for_death(pid, started)
    wanted = _MARKER + nonce.encode() + b":"
    until = time.monotonic() + _SWEEP_SECONDS
    while time.monotonic() < until and _kill_marked(wanted):
        time.sleep(0.05)


def _wait_for_death(pid: int, started: str) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):
        pidfd = None
    if pidfd is not None and _started(pid) == started:
        select.select([pidfd], [], [])
        return
    while _started(pid) == started:
        time.sleep(_LOOK_SECONDS)


def _started(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            text = stat.read()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()[19]


def _kill_marked(wanted: bytes) -> bool:
    found = False
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as environ:
                if wanted in environ.read():
                    found = True
                    os.kill(int(entry), signal.SIGKILL)
        except OSError:
            continue
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
