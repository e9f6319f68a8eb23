"""The output of `kelery dev`: its own lines and the services' log lines, each with a name.

It also writes the log files: each service has two files of bounded size.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

_NAME_WIDTH = 9
_LOG_BYTES = 8 * 1024**2

Write = Callable[[str], None]


def to_stdout(line: str) -> None:
    """Print at once; ignore a terminal that is gone, because the services must still be stopped."""
    with contextlib.suppress(OSError):
        print(line, flush=True)


class Console:
    """Writes whole lines, each with the name of its source."""

    def __init__(self, *, write: Write = to_stdout) -> None:
        self._write = write

    def say(self, text: str) -> None:
        """Write one or more lines of kelery itself."""
        for line in text.splitlines():
            self.log("kelery", line=line)

    def log(self, name: str, *, line: str) -> None:
        """Write a log line of a service."""
        self._write(f"{name:<{_NAME_WIDTH}}| {line}")

    def plain(self, line: str) -> None:
        """Write a line without a name, for copying."""
        self._write(line)


class ServiceLog:
    """A service's log file; the previous one is kept as `.1`."""

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
