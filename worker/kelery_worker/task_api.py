"""The API for task code: `kelery_worker.progress` and `kelery_worker.fence`.

Both do nothing outside a run, so the same code works as a plain Celery task.
"""

from __future__ import annotations

from kelery_worker.child import current_run


def fence() -> int | None:
    """The fence of the current run, a number that grows with each claim; None outside a run.

    Pass it to the store that the task writes to. The store can then reject writes with an older fence.
    """
    run = current_run.get()
    return run.fence if run is not None else None


def progress(current: float, total: float | None = None, message: str | None = None) -> None:
    """Report the progress of the run, shown in `.status.progress`; does nothing outside a run.

    A failure of Redis raises no error.
    """
    run = current_run.get()
    if run is not None:
        run.report_progress(current, total=total, message=message)
