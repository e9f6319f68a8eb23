"""The time from a cancel until the task's process is dead, by the client's clock."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import select
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kelery_bench.clients.plain_celery import PlainCelery
from kelery_dev.errors import DevError

_TASK = "bench.pid"
#: Longer than any measurement here.
_TASK_SECONDS = 120.0
_SECONDS = 30.0
_LOOK_SECONDS = 0.01
_RUNS = "/v1/namespaces/default/taskruns"


class Cancelling:
    """Starts tasks on the queue of one idle worker, and cancels each while it is running."""

    def __init__(self, *, url: str, plain: PlainCelery, queue: str, folder: Path) -> None:
        where = urllib.parse.urlsplit(url)
        self._gateway = http.client.HTTPConnection(where.hostname or "", where.port, timeout=_SECONDS)
        self._plain = plain
        self._queue = queue
        self._folder = folder
        self._numbers = itertools.count()

    def run(self) -> float:
        """The seconds for a run that is cancelled through the gateway."""
        file = self._new_file()
        spec = {"task": _TASK, "args": [str(file), _TASK_SECONDS], "queue": self._queue}
        uid = self._ask("POST", _RUNS, {"spec": spec})["metadata"]["uid"]

        pid = _pid(file)
        self._gateway.close()
        self._gateway.connect()
        took = _until_gone(pid, lambda: self._gateway.request("POST", f"{_RUNS}/{uid}:cancel"))
        self._answer()
        phase = self._ask("GET", f"{_RUNS}/{uid}?wait=30s")["status"]["phase"]
        if phase != "Cancelled":
            raise DevError(f"the cancelled run ended as {phase}")
        return took

    def close(self) -> None:
        """Close the connection to the gateway."""
        self._gateway.close()

    def task(self) -> float:
        """The seconds for a plain task that is revoked."""
        file = self._new_file()
        sent = self._plain.app.send_task(_TASK, args=[str(file), _TASK_SECONDS], queue=self._queue)
        return _until_gone(_pid(file), lambda: self._plain.app.control.revoke(sent.id, terminate=True))

    def _new_file(self) -> Path:
        return self._folder / f"pid-{next(self._numbers)}"

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        # The gateway closes connections that are idle for some seconds, so open a new one.
        self._gateway.close()
        headers = {} if body is None else {"Content-Type": "application/json"}
        self._gateway.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
        return self._answer()

    def _answer(self) -> Any:
        answer = self._gateway.getresponse()
        body = answer.read()
        if answer.status >= 300:
            raise DevError(f"the gateway returned {answer.status}: {body[:500].decode(errors='replace')}")
        return json.loads(body)


def _pid(file: Path) -> int:
    """The pid that a task wrote after its start."""
    deadline = time.monotonic() + _SECONDS
    while not file.exists():
        if time.monotonic() > deadline:
            raise DevError(f"the task did not start within {_SECONDS:g} s")
        time.sleep(_LOOK_SECONDS)
    pid = int(file.read_text())
    file.unlink()
    return pid


def _until_gone(pid: int, stop: Callable[[], object]) -> float:
    process = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        began = time.perf_counter()
        stop()
        if not poll.poll(_SECONDS * 1000):
            raise DevError(f"process {pid} is still alive after {_SECONDS:g} s")
        return time.perf_counter() - began
    finally:
        os.close(process)
