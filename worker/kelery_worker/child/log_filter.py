"""Hides arguments and results of runs in Celery's own log lines.

Celery logs a task's return value at INFO and passes its arguments to handlers. Plain Celery tasks are logged
unchanged.
"""

from __future__ import annotations

import logging

from kelery_worker.child import current_run

_HIDDEN = {"return_value": "(result not logged)", "args": "(...)", "kwargs": "{...}"}


class HideRunData(logging.Filter):
    """Replaces the user's data in log records about the current run."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Never drops a record."""
        fields, run = record.args, current_run.get()
        if run is not None and isinstance(fields, dict) and fields.get("id") == run.uid:
            record.args = {name: _HIDDEN.get(name, value) for name, value in fields.items()}
            data = getattr(record, "data", None)
            if isinstance(data, dict):
                record.data = {name: _HIDDEN.get(name, value) for name, value in data.items()}
        return True


def install() -> None:
    """Add the filter to the logger that traces tasks; a handler's filter would not cover users' handlers."""
    logging.getLogger("celery.app.trace").addFilter(HideRunData())
