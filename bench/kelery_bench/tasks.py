"""The tasks of the benchmark: a plain Celery app, served by workers with and without the plug-in."""

from __future__ import annotations

import os
import time

from celery import Celery

from kelery_bench.figures.stamps import Stamp, write_stamp

#: As `-A` of a worker takes it.
APP = "kelery_bench.tasks"

_REDIS = os.environ.get("KELERY_REDIS_URL", "redis://127.0.0.1:6379/0")

app = Celery("bench", broker=_REDIS, backend=_REDIS)
app.conf.broker_connection_retry_on_startup = True


@app.task(name="bench.noop")
def noop() -> None:
    """Nothing."""


@app.task(name="bench.echo")
def echo(value: object = None) -> object:
    """What it was given."""
    return value


@app.task(name="bench.sleep")
def sleep(seconds: float) -> None:
    """Waits."""
    time.sleep(seconds)


@app.task(name="bench.pid")
def pid(file: str, seconds: float) -> None:
    """Notes its process's id in a file, then waits."""
    draft = f"{file}.{os.getpid()}"
    with open(draft, "w") as stream:
        stream.write(str(os.getpid()))
    os.replace(draft, file)
    time.sleep(seconds)


@app.task(name="bench.stamp")
def stamp(file: str, label: str, seconds: float = 0.0) -> None:
    """Notes when it began and when it ended."""
    began = time.monotonic_ns()
    if seconds:
        time.sleep(seconds)
    write_stamp(file, Stamp(label=label, began=began, ended=time.monotonic_ns()))
