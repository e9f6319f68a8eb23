"""Processes that are stopped for a while."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.polling import poll_until


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """No thread of the processes runs inside the block. SIGSTOP can be slow on a busy machine."""

    def states() -> dict[int, set[str]]:
        return {pid: _states(pid) for pid in pids}

    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        poll_until(
            lambda: all(found == {"T"} for found in states().values()),
            seconds=30,
            what="them to stand still",
            state=states,
        )
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _states(pid: int) -> set[str]:
    """The states of its threads."""
    threads = Path(f"/proc/{pid}/task")
    return {stat.read_text().rpartition(")")[2].split()[0] for stat in threads.glob("*/stat")}
