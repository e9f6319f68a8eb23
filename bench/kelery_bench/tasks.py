"""The tasks of the benchmark: a plain Celery app for workers with and without the plug-in."""

from __future__ import annotations

import os
import time

from celery import Celery

from kelery_bench.figures.stamps import Stamp, write_stamp

#: The value for `-A` of a worker.
APP = "kelery_bench.tasks"

_REDIS = os.environ.get("KELERY_REDIS_URL", "redis://127.0.0.1:6379/0")

app = Celery("bench", broker=_REDIS, backend=_REDIS)
app.conf.broker_connection_retry_on_startup = True


@app.task(name="bench.noop")
def noop() -> None:
    """Does nothing."""


@app.task(name="bench.echo")
def echo(value: object = None) -> object:
    """Returns its argument."""
    return value


@app.task(name="bench.sleep")
def sleep(seconds: float) -> None:
    """Sleeps."""
    time.sleep(seconds)


@app.task(name="bench.pid")
def pid(file: str, seconds: float) -> None:
    """Writes its pid to a file, then sleeps."""
    draft = f"{file}.{os.getpid()}"
    with open(draft, "w") as stream:
        stream.write(str(os.getpid()))
    os.replace(draft, file)
    time.sleep(seconds)


@app.task(name="bench.stamp")
def stamp(file: str, label: str, seconds: float = 0.0) -> None:
    """Writes its start and end times to a file."""
    began = time.monotonic_ns()
    if seconds:
        time.sleep(seconds)
    write_stamp(file, Stamp(label=label, began=began, ended=time.monotonic_ns()))
