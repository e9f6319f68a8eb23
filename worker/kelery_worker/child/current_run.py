"""The run whose body executes in this pool child. A child executes one run at a time.

Set by the task signals before the body starts, cleared when the body has ended.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass

from kelery.errors import LedgerError
from kelery.ledger import commands, sync_client

#: Progress that comes sooner after the last one waits for the next, or for the end.
PROGRESS_SECONDS = 0.5


@dataclass(slots=True, kw_only=True)
class CurrentRun:
    """The claim, and what the body has reported so far."""

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
        """Send it, or keep it if the last one was sent just now; raises ValueError if it is no JSON."""
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
        """Send what was kept; the body has ended."""
        if self.pending_progress is not None:
            self._send_progress(self.pending_progress)

    def _send_progress(self, text: str) -> None:
        with suppress(LedgerError):
            self.ledger.run(commands.progress(self.uid, self.fence, text))


_current: CurrentRun | None = None


def put(run: CurrentRun | None) -> None:
    """Make `run` the one that executes here; None if none does."""
    global _current
    _current = run


def get() -> CurrentRun | None:
    """The run that executes here; None outside of a run."""
    return _current
