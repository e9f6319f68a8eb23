"""Wakes a thread that sleeps in `poll`, from any other thread."""

from __future__ import annotations

import os
from contextlib import suppress


class Wakeup:
    """A pipe to oneself; ringing twice before it is cleared wakes once."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """What to poll for reading."""
        return self._read

    def wake(self) -> None:
        """Wake it; a full pipe is awake already."""
        with suppress(BlockingIOError):
            os.write(self._write, b"!")

    def clear(self) -> None:
        """Forget all wake-ups so far."""
        with suppress(BlockingIOError):
            while os.read(self._read, 4096):
                continue
