"""The demo: an ordinary Celery app, whose `demo.progress` reports progress to Kelery."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from celery import Celery

from kelery_worker import task_api

_REDIS = os.environ.get("KELERY_REDIS_URL", "redis://127.0.0.1:6379/0")

app = Celery("demo", broker=_REDIS, backend=_REDIS)
app.conf.update(
    task_track_started=True,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    result_expires=86400,
)


@app.task(name="demo.add")
def add(x: float, y: float) -> float:
    """Returns the sum."""
    return x + y


@app.task(name="demo.hello")
def hello(name: str = "Bob") -> str:
    """Returns a greeting."""
    return f"Hello, {name}!"


@app.task(name="demo.sleep")
def sleep(seconds: float) -> float:
    """Sleeps; a cancel ends it at once."""
    time.sleep(seconds)
    return seconds


@app.task(name="demo.fail")
def fail(message: str = "as asked") -> None:
    """Raises ValueError."""
    raise ValueError(message)


@app.task(name="demo.progress")
def progress(steps: int = 10, seconds: float = 5.0) -> int:
    """Reports progress in `steps` steps."""
    for step in range(1, steps + 1):
        time.sleep(seconds / steps)
        task_api.progress(step, steps, f"step {step}")
    return steps


@app.task(name="demo.write_timestamp")
def write_timestamp(folder: str) -> str:
    """Writes the time to a file that is named after it; returns the path."""
    now = datetime.datetime.now(datetime.timezone.utc)
    path = Path(folder) / f"{now:%Y%m%dT%H%M%S.%fZ}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(now.isoformat() + "\n", encoding="utf-8")
    return str(path)


@app.task(name="demo.unserializable")
def unserializable() -> Any:
    """Returns a value that is not JSON."""
    return object()


@app.task(name="demo.stubborn")
def stubborn(seconds: float) -> float:
    """Ignores SIGTERM; only SIGKILL ends it early."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        time.sleep(seconds)
    finally:
        signal.signal(signal.SIGTERM, before)
    return seconds


@app.task(name="demo.spawn")
def spawn(seconds: float) -> int:
    """Waits for its own subprocess; returns the exit code."""
    with subprocess.Popen(["sleep", str(seconds)]) as process:
        return process.wait()
