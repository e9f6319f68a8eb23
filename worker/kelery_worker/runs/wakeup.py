"""Wakes a thread that sleeps in `poll`, from another thread."""

from __future__ import annotations

import os
from contextlib import suppress


class Wakeup:
    """A pipe to the own process; several calls of `wake` before a `clear` wake once."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """The descriptor to poll for reading."""
        return self._read

    def wake(self) -> None:
        """Wake the thread; a full pipe has woken it already."""
        with suppress(BlockingIOError):
            os.write(self._write, b"!")

    def clear(self) -> None:
        """Forget all wake-ups so far."""
        with suppress(BlockingIOError):
            while os.read(self._read, 4096):
                continue
