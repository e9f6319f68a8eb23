"""A process that stands still for a while."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.polling import poll_until


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """None of its threads runs in the block. On a busy machine the signal takes a moment to stop them all."""
    threads = Path(f"/proc/{pid}/task")

    def states() -> set[str]:
        return {stat.read_text().rpartition(")")[2].split()[0] for stat in threads.glob("*/stat")}

    os.kill(pid, signal.SIGSTOP)
    try:
        poll_until(lambda: states() == {"T"}, seconds=30, what=f"{pid} to stand still", state=states)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
