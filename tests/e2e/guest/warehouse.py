"""A Celery app that does not use Kelery. Its tasks detect whether two of them overlap.

A task locks its place's file and never waits for the lock. If the file is already locked, two tasks overlap.
"""

import fcntl
import os
import sys
import time
from pathlib import Path

from celery import Celery

SHELVES = Path(os.environ.get("WAREHOUSE_SHELVES", "/shelves"))

app = Celery("warehouse", broker=os.environ.get("CELERY_BROKER_URL", "redis://redis:6379/0"))
app.conf.task_default_queue = "warehouse"


def write_down(event: str, place: str, name: str) -> None:
    """Append one whole line to the journal, even if other processes write too."""
    with (SHELVES / "journal").open("a") as journal:
        journal.write(f"{event} {place} {name}\n")


@app.task(name="warehouse.move")
def move(place: str, name: str, seconds: float) -> str:
    """Work for `seconds` at a place that no other task may use."""
    with (SHELVES / f"{place}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            write_down("overlap", place, name)
            raise
        write_down("start", place, name)
        time.sleep(seconds)
        write_down("end", place, name)
    return name


@app.task(name="warehouse.who")
def who() -> dict[str, object]:
    """The user and the interpreter that execute the tasks."""
    return {"uid": os.getuid(), "python": sys.executable}
