"""Keeps args and results of runs out of Celery's own log lines.

Celery logs a task's return value at INFO, and hands its args to handlers. Plain Celery tasks are logged as
ever.
"""

from __future__ import annotations

import logging

from kelery_worker.child import current_run

_HIDDEN = {"return_value": "(result not logged)", "args": "(...)", "kwargs": "{...}"}


class HideRunData(logging.Filter):
    """Replaces, in the fields of a record about the run that is executing, what belongs to the user."""

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
    """On the logger that traces tasks; a filter of a handler would not reach users' own handlers."""
    logging.getLogger("celery.app.trace").addFilter(HideRunData())
