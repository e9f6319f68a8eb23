"""A Celery app that knows nothing of Kelery. Its tasks find out themselves whether two of them overlap.

Who holds a place holds its lock file too, without ever waiting for it: a lock that is taken is an overlap.
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
    """One line of the journal, whole, whoever else writes."""
    with (SHELVES / "journal").open("a") as journal:
        journal.write(f"{event} {place} {name}\n")


@app.task(name="warehouse.move")
def move(place: str, name: str, seconds: float) -> str:
    """Work for `seconds` at a place where nobody else may be."""
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
    """The user and the interpreter that run the tasks."""
    return {"uid": os.getuid(), "python": sys.executable}
