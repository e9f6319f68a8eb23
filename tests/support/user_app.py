"""A user's Celery app. Its tasks record what they do, so that a test can check it."""

from __future__ import annotations

import datetime
import fcntl
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from billiard.exceptions import Terminated, TimeLimitExceeded, WorkerLostError
from celery import Celery, Task, signals
from celery.exceptions import Ignore
from celery.worker.consumer import Consumer
from celery.worker.request import Request

from kelery.ledger import commands, sync_client

_BROKER = os.environ["USERS_BROKER"]

app = Celery("users", broker=_BROKER, backend=os.environ.get("USERS_BACKEND", _BROKER))
# With these settings plain Celery on Redis can run a task twice. The plug-in must handle them.
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_track_started=True,
    worker_prefetch_multiplier=4,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    accept_content=[os.environ.get("USERS_ACCEPTS", "json")],
)


if os.environ.get("USERS_POOL_FORGETS"):
    # Restores Celery's own method, as if the plug-in had not wrapped it.
    import kelery_worker  # noqa: F401

    Consumer.on_close = Consumer.on_close.__wrapped__  # type: ignore[attr-defined,method-assign]

_getaddrinfo = socket.getaddrinfo


def _slow_names(*args: Any, **kwargs: Any) -> Any:
    """A name lookup that hangs while a file exists."""
    hangs = os.environ.get("USERS_NAMES_HANG")
    while hangs and Path(hangs).exists():
        time.sleep(0.05)
    return _getaddrinfo(*args, **kwargs)


socket.getaddrinfo = _slow_names


def note(file: str, text: str) -> None:
    """Append one whole line, even if other processes write too."""
    with open(file, "a", encoding="utf-8") as log:
        log.write(f"{text}\n")


@app.task(name="users.echo")
def echo(value: Any = None) -> Any:
    """Returns its argument."""
    return value


@app.task(name="users.boom")
def boom(message: str) -> None:
    """Raises."""
    raise KeyError(message)


@app.task(name="users.returns")
def returns(what: str) -> Any:
    """Returns values that JSON cannot express, or only just."""
    loop: list[Any] = []
    loop.append(loop)
    return {
        "nan": float("nan"),
        "set": {1, 2},
        "big": 2**64,
        "int64": 2**63 - 1,
        "loop": loop,
        "large": "ä" * 40_000,
        "huge": "x" * (17 * 1024 * 1024),
        "surrogate": "\ud800",
    }[what]


@app.task(name="users.flaky")
def flaky(file: str, fail_times: int) -> int:
    """Fails the first `fail_times` times."""
    note(file, "start")
    count = len(Path(file).read_text(encoding="utf-8").splitlines())
    if count <= fail_times:
        raise ConnectionError(f"attempt {count}")
    return count


@app.task(name="users.retries_itself", bind=True, max_retries=2)
def retries_itself(self: Task[..., Any], file: str, enough: int, seen: int = 0) -> int:
    """Uses Celery's own retry, each time with other arguments."""
    note(file, f"{seen} {self.request.retries}")
    if seen < enough:
        raise self.retry(args=(file, enough), kwargs={"seen": seen + 1}, countdown=0.2)
    return seen


@app.task(
    name="users.autoretry",
    autoretry_for=(ConnectionError,),
    max_retries=2,
    retry_backoff=False,
    default_retry_delay=0,
)
def autoretry(file: str) -> None:
    """Always fails, so Celery gives up after two retries."""
    note(file, "start")
    raise ConnectionError("never up")


@app.task(name="users.nap")
def nap(seconds: float, file: str | None = None) -> float:
    """Sleeps, and records its beginning and its end."""
    if file:
        note(file, f"begin {os.getpid()}")
    try:
        time.sleep(seconds)
    finally:
        if file:
            note(file, "finally")
    return seconds


@app.task(name="users.ticks")
def ticks(file: str, seconds: float, stubborn: bool = False) -> None:
    """Writes a line every 20 ms, so that a test can see whether it still executes."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN) if stubborn else None
    try:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            note(file, "tick")
            time.sleep(0.02)
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


@app.task(name="users.swallows_sigterm")
def swallows_sigterm(seconds: float) -> str:
    """Ends normally, although it gets a signal to stop."""
    try:
        time.sleep(seconds)
    except SystemExit:
        return "swallowed"
    return "slept"


@app.task(name="users.spawns")
def spawns(file: str, seconds: float) -> int:
    """Waits for a subprocess that writes a line every 20 ms and ignores SIGTERM."""
    script = f"trap '' TERM; while true; do echo tick >> '{file}'; sleep 0.02; done"
    process = subprocess.Popen(["sh", "-c", script], start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


@app.task(name="users.exclusive")
def exclusive(folder: str, key: str, seconds: float) -> None:
    """Locks the key's file while it runs. The kernel reports a second holder, and frees the lock at death."""
    with open(f"{folder}/{key}.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(f"{folder}/overlaps", key)
            raise RuntimeError(f"another run of {key} is executing") from None
        note(f"{folder}/starts", key)
        time.sleep(seconds)


@app.task(name="users.dies")
def dies(file: str | None = None) -> None:
    """Kills its own process, as the kernel does when memory runs out."""
    if file:
        note(file, "start")
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="users.limited", time_limit=1)
def limited(seconds: float) -> None:
    """Has Celery's own hard time limit."""
    time.sleep(seconds)


@app.task(name="users.tells_state", bind=True)
def tells_state(self: Task[..., Any], gate: str) -> None:
    """Reports progress with plain Celery's call, then waits for a file."""
    self.update_state(state="PROGRESS", meta={"current": 3, "total": 9})
    while not Path(gate).exists():
        time.sleep(0.02)


@app.task(name="users.raises")
def raises(what: str) -> None:
    """Raises errors that Celery also raises by itself."""
    raise {
        "lost": WorkerLostError("of another task"),
        "limit": TimeLimitExceeded(1),
        "terminated": Terminated(15),
        "ignore": Ignore(),
    }[what]


@app.task(name="users.applies")
def applies(file: str) -> str:
    """Runs another task in its own process."""
    note(file, "begin")
    return f"applied {echo.apply(args=(1,)).result}"


@app.task(name="users.retries_with_a_date", bind=True, max_retries=1)
def retries_with_a_date(self: Task[..., Any], when: Any = None) -> str:
    """Retries with a date: Celery's JSON can express more than plain JSON."""
    if when is None:
        raise self.retry(args=(datetime.datetime(2026, 1, 2, 3, 4),), countdown=0)
    return type(when).__name__


@app.task(name="users.leaves_behind")
def leaves_behind(file: str) -> None:
    """Returns, and deliberately leaves a subprocess that continues."""
    subprocess.Popen(["sh", "-c", f"while true; do echo tick >> '{file}'; sleep 0.02; done"])


@app.task(name="users.tells_nonsense", bind=True)
def tells_nonsense(self: Task[..., Any]) -> str:
    """Reports progress that cannot be shown."""
    self.update_state(state="PROGRESS", meta={"current": float("nan"), "total": 3})
    return "went on"


@app.task(name="users.fence")
def fence() -> int | None:
    """Returns the fencing token."""
    # Imported here, because at the top the plug-in would connect its signals before `begin_first`.
    from kelery_worker import fence as current_fence

    return current_fence()


@app.task(name="users.begun_elsewhere")
def begun_elsewhere(file: str) -> None:
    """For the ledger, its claim has already begun: see `begin_first`."""
    note(file, "begin")


@signals.task_prerun.connect
def begin_first(task: Any = None, **_: Any) -> None:
    """Begins the claim. It is connected before the plug-in, so it is called first."""
    if task.name == "users.begun_elsewhere":
        claim = vars(task.request)["kelery_claim"]
        client = sync_client.connect(os.environ["USERS_BROKER"], timeout_seconds=5, client_name="test")
        assert sync_client.Ledger(client, prefix="kelery").run(
            commands.start(claim["uid"], claim["fence"], pid=os.getpid())
        )


class OwnRequest(Request):
    """A user's own Request class, as some apps have."""


class OwnTask(Task):  # type: ignore[type-arg]
    """A task class that uses OwnRequest."""

    Request = f"{__name__}:OwnRequest"


@app.task(name="users.own_request", base=OwnTask)
def own_request(value: int) -> int:
    """Uses the user's own Request class."""
    return value
