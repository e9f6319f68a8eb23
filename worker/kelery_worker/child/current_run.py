"""The run that executes in this pool child, one at a time.

The task signals set it before the task starts and clear it when the task has ended.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass

from kelery.errors import LedgerError
from kelery.ledger import commands, sync_client

#: The least time between two progress reports; an earlier one is kept until the next or the end.
PROGRESS_SECONDS = 0.5


@dataclass(slots=True, kw_only=True)
class CurrentRun:
    """The claim, and what the task has reported so far."""

    uid: str
    fence: int
    task: str
    queue: str
    ledger: sync_client.Ledger
    error: BaseException | None = None
    traceback: str = ""
    progress_at: float = 0.0
    pending_progress: str | None = None

    def report_progress(self, current: float, *, total: float | None, message: str | None) -> None:
        """Send progress, or keep it if the last one is recent; ValueError if it is not JSON."""
        shown = {"current": current, "total": total, "message": message}
        text = json.dumps(
            {name: value for name, value in shown.items() if value is not None}, allow_nan=False
        )
        now = time.monotonic()
        if now - self.progress_at < PROGRESS_SECONDS:
            self.pending_progress = text
            return
        self.progress_at, self.pending_progress = now, None
        self._send_progress(text)

    def send_pending_progress(self) -> None:
        """Send the kept progress; the task has ended."""
        if self.pending_progress is not None:
            self._send_progress(self.pending_progress)

    def _send_progress(self, text: str) -> None:
        with suppress(LedgerError):
            self.ledger.run(commands.progress(self.uid, self.fence, text))


_current: CurrentRun | None = None


def put(run: CurrentRun | None) -> None:
    """Set the run that executes here, or None."""
    global _current
    _current = run


def get() -> CurrentRun | None:
    """The run that executes here; None outside a run."""
    return _current
