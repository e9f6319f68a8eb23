"""The screen of `kelery dev`: lines of its own and the services' log lines, each behind a name.

Also where log lines go to disk: a service's log is kept to two files of bounded size.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

_NAME_WIDTH = 9
_LOG_BYTES = 8 * 1024**2

Write = Callable[[str], None]


def to_stdout(line: str) -> None:
    """Print at once; a terminal that has gone away is no reason to leave the services running unstopped."""
    with contextlib.suppress(OSError):
        print(line, flush=True)


class Console:
    """Writes whole lines, each with the name of who says it."""

    def __init__(self, *, write: Write = to_stdout) -> None:
        self._write = write

    def say(self, text: str) -> None:
        """A line, or several, of our own."""
        for line in text.splitlines():
            self.log("kelery", line=line)

    def log(self, name: str, *, line: str) -> None:
        """A log line of a service."""
        self._write(f"{name:<{_NAME_WIDTH}}| {line}")

    def plain(self, line: str) -> None:
        """A line to be copied, so without a name."""
        self._write(line)


class ServiceLog:
    """A service's log file; the one before it is kept as `.1`."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        self._rotate()

    def write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()
        if self._stream.tell() > _LOG_BYTES:
            self._stream.close()
            self._rotate()

    def close(self) -> None:
        self._stream.close()

    def _rotate(self) -> None:
        if self.file.exists():
            self.file.replace(self.file.with_suffix(".log.1"))
        self._stream = self.file.open("w")
