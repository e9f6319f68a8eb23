"""What task code may call: `kelery_worker.progress` and `kelery_worker.fence`.

Both do nothing outside of a run, so the same code also runs as a plain Celery task.
"""

from __future__ import annotations

from kelery_worker.child import current_run


def fence() -> int | None:
    """The fence of the run that is executing: a number that only grows, to be checked by whatever the task
    writes to.

    None outside a run.
    """
    run = current_run.get()
    return run.fence if run is not None else None


def progress(current: float, total: float | None = None, message: str | None = None) -> None:
    """Tell how far the run is: shown in `.status.progress`. Does nothing outside a run; never raises for
    Redis' sake.
    """
    run = current_run.get()
    if run is not None:
        run.report_progress(current, total=total, message=message)
