"""The output of the demo: commands, lines about runs, and the final table; at most 100 columns wide.

Colours only on a terminal, and not with NO_COLOR.
"""

import json
import os
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kelery_dev.supervise.console import Console, Write, to_stdout

WIDTH = 100
_COLOURS = {
    "Succeeded": "32",
    "Failed": "31",
    "Cancelled": "33",
    "Cancelling": "33",
    "Running": "36",
}
_BOLD = "1"

Status = Mapping[str, Any]


class Screen(Console):
    """The demo's output and the stack's console; log lines of services go only to their files."""

    def __init__(self, *, write: Write = to_stdout, colours: bool | None = None) -> None:
        super().__init__(write=write)
        wanted = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._colours = wanted if colours is None else colours
        self._began = time.monotonic()

    def log(self, name: str, *, line: str) -> None:
        """Show only the stack's own lines."""
        if name == "kelery":
            for part in textwrap.wrap(line, width=WIDTH - 4, break_on_hyphens=False) or [""]:
                self.plain(f"  {part}")

    def heading(self, text: str) -> None:
        """The title of the next part."""
        self.plain("")
        self.plain(self._painted(text, colour=_BOLD))

    def command(self, text: str) -> None:
        """A command as the user types it."""
        self.plain("")
        self.plain(self._painted(f"$ {text}", colour=_BOLD))

    def change(self, name: str, *, status: Status) -> None:
        """A changed state of a run."""
        phase, reason = str(status.get("phase", "")), str(status.get("reason", ""))
        passed = f"{time.monotonic() - self._began:5.1f}s"
        line = cut(f"{passed}  {name:<16} {phase:<10} {reason:<22} {detail(status)}".rstrip())
        self.plain(line.replace(phase, self._painted(phase, colour=_COLOURS.get(phase)), 1))

    def table(self, rows: Sequence[tuple[str, Status]]) -> None:
        """All runs with phase, reason, and result or error."""
        self.plain(f"{'NAME':<16} {'PHASE':<10} {'REASON':<22} RESULT OR ERROR")
        for name, status in rows:
            phase, reason = str(status.get("phase", "")), str(status.get("reason", ""))
            line = cut(f"{name:<16} {phase:<10} {reason:<22} {outcome(status)}".rstrip())
            self.plain(line.replace(phase, self._painted(phase, colour=_COLOURS.get(phase)), 1))

    def _painted(self, text: str, *, colour: str | None) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours and colour and text else text


def cut(line: str, *, width: int = WIDTH) -> str:
    """A line, cut to the width."""
    flat = " ".join(line.splitlines())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def outcome(status: Status) -> str:
    """The result or the error of an ended run."""
    result, error = status.get("result"), status.get("error")
    if status.get("phase") == "Failed" and error:
        kind, message = str(error.get("type", "")), str(error.get("message", ""))
        return message if kind == status.get("reason") else f"{kind}: {message}"
    if not result:
        return ""
    return "(large)" if result.get("truncated") else json.dumps(result.get("value"), ensure_ascii=False)


def detail(status: Status) -> str:
    """Details of a run in its current phase."""
    phase, attempt = status.get("phase"), status.get("attempt", 1)
    key = status.get("concurrency") or {}
    if phase == "Waiting" and key.get("heldBy"):
        place = f"position {key['position']}; " if key.get("position") else ""
        return f"{place}held by {', '.join(key['heldBy'])}"
    if status.get("reason") == "RetryBackoff":
        return f"attempt {attempt} follows; the run keeps its slot"
    if phase == "Running":
        parts = [f"attempt {attempt}"] if attempt > 1 else []
        parts += [f"{status['progress'].get('text', '')}"] if status.get("progress") else []
        return ", ".join(parts)
    return outcome(status)
