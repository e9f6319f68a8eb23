"""The processes of a run: detects their death, and finds and kills what the run started.

Subprocesses are found in three ways, since each alone misses some: by the environment marker (survives
re-parenting, not an emptied environment), as descendants of the pool child (lost once it is dead), and by its
process group (covers a fork without exec). Linux only, like the prefork pool's own death signal.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass

#: The environment variable that the child sets around a task; see `run_marker`.
MARKER = "KELERY_RUN"

_PROC = "/proc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One line of the process table. `started` is in clock ticks since boot."""

    pid: int
    parent: int
    group: int
    started: int
    is_zombie: bool


def run_marker(*, worker_nonce: str, uid: str, fence: int) -> str:
    """The value of MARKER in the environment of a run's processes."""
    return f"{worker_nonce}:{uid}:{fence}"


def open_pidfd(pid: int) -> int | None:
    """A descriptor that becomes readable when `pid` dies; None if it is dead or cannot be watched."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def is_alive(pid: int) -> bool:
    """Whether `pid` still executes; a zombie does not."""
    process = _read(pid)
    return process is not None and not process.is_zombie


def started_at(pid: int) -> int | None:
    """When `pid` started, in ticks since boot; None if it is gone. Pids are reused, this is not."""
    process = _read(pid)
    return process.started if process else None


def table() -> list[Process]:
    """All visible processes."""
    found = (_read(int(entry)) for entry in os.listdir(_PROC) if entry.isdigit())
    return [process for process in found if process is not None]


def descendants(of: int, among: Iterable[Process]) -> set[int]:
    """The pids below `of` in the process tree, without itself."""
    children: dict[int, list[int]] = {}
    for process in among:
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    pending = [of]
    while pending:
        for pid in children.get(pending.pop(), ()):
            if pid not in found:
                found.add(pid)
                pending.append(pid)
    return found


def below(child: int, *, since: int | None) -> set[tuple[int, int]]:
    """The living descendants (pid, started) of pool child `child` that its current run may have started."""
    if since is None:
        return set()
    living = [process for process in table() if not process.is_zombie]
    pids = descendants(child, living)
    inside = [process for process in living if process.pid in pids]
    of_others = _of_earlier_tasks(inside, living, since=since)
    return {(process.pid, process.started) for process in inside if process.pid not in of_others}


def belonging(
    *, marker: str, child: int | None, since: int | None, until: int | None, remembered: set[tuple[int, int]]
) -> set[int]:
    """Every living process of a run except its pool child.

    `since` and `until` (ticks) bound the run's time in its child. The child's process group also contains
    processes of earlier tasks and, after the run has returned, of the next one. A process with the marker of
    another run does not belong either.
    """
    living = [process for process in table() if not process.is_zombie]
    group = [process for process in living if process.group == child and process.pid != child]
    of_others = set() if since is None else _of_earlier_tasks(group, living, since=since)
    own, any_run = f"{MARKER}={marker}".encode(), f"{MARKER}=".encode()
    found = set()
    for process in living:
        if process.pid in (child, os.getpid()):
            continue
        markers = [entry for entry in _environment(process.pid).split(b"\0") if entry.startswith(any_run)]
        began_within = since is not None and (until is None or process.started < until)
        if own in markers:
            found.add(process.pid)
        elif markers or process.pid in of_others:
            continue
        elif (process.pid, process.started) in remembered or (process in group and began_within):
            found.add(process.pid)
    return found


def _of_earlier_tasks(among: list[Process], living: list[Process], *, since: int) -> set[int]:
    """The pids of processes that started before `since`, and of all their descendants."""
    roots = {process.pid for process in among if process.started < since}
    return roots.union(*(descendants(root, living) for root in roots))


def kill_all(pids: Iterable[int]) -> None:
    """SIGKILL each; one that is gone is fine."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def ticks_now() -> int:
    """Now, in the unit of `Process.started`; /proc/uptime may count from a container's start instead."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def _read(pid: int) -> Process | None:
    try:
        with open(f"{_PROC}/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            text = stat.read()
    except OSError:
        return None
    # The command's name may contain spaces and brackets; the fields start after the last bracket.
    fields = text[text.rindex(")") + 2 :].split()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        group=int(fields[2]),
        started=int(fields[19]),
        is_zombie=fields[0] in "ZX",
    )


def _environment(pid: int) -> bytes:
    try:
        with open(f"{_PROC}/{pid}/environ", "rb") as environ:
            return environ.read()
    except OSError:
        return b""
