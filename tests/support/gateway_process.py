"""One gateway process under test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from kelery_dev.supervise.ports import free_port
from tests.support.polling import poll_until

PROBLEMS = "https://kelery.dev/problems/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The gateway's response. Status 0 means that there was none."""

    status: int
    headers: Message
    body: bytes
    #: The duration of the request.
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The slug of the problem type."""
        assert self.headers["content-type"] == "application/problem+json", (self.status, self.body)
        assert self.json["status"] == self.status
        return str(self.json["type"]).removeprefix(PROBLEMS)


class GatewayProcess:
    """`python -m kelery_api` with its log. Requests to it never use a proxy."""

    def __init__(self, environment: Mapping[str, str], *, log: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("KELERY_")},
            "KELERY_API_ADDR": f"127.0.0.1:{self.port}",
            "KELERY_AUTH": "none",
            "KELERY_LOG_FORMAT": "text",
            **environment,
        }
        self.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def redis_url(self) -> str:
        return self._environment["KELERY_REDIS_URL"]

    def start(self) -> None:
        """Start it again after it has ended, with the same port and log."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kelery_api"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_until_alive(self, *, seconds: float = 90) -> None:
        """Wait until it answers. It may not have its ledger yet."""
        self._wait_for("/livez", status=200, seconds=seconds)

    def wait_until_ready(self, *, seconds: float = 90) -> None:
        """Wait until it reports that it is ready."""
        self._wait_for("/readyz", status=200, seconds=seconds)

    def wait_until_not_ready(self, *, seconds: float = 90) -> None:
        """Wait until it reports that it is not ready."""
        self._wait_for("/readyz", status=503, seconds=seconds)

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        token: str = "",
        timeout: float = 60,
    ) -> Answer:
        """Send one request. A `body` of bytes is sent unchanged, any other as JSON."""
        sent = dict(headers or {})
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        if token:
            sent["Authorization"] = f"Bearer {token}"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", method=method, data=data, headers=sent)
        began = time.monotonic()
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                return _answer(answer.status, answer.headers, answer.read(), began=began)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.headers, error.read(), began=began)
        except OSError as error:
            self.check_alive()
            return _answer(0, Message(), str(error).encode(), began=began)

    def check_alive(self) -> None:
        """Fail, and show its log, if it has ended."""
        assert self._process.poll() is None, f"the gateway has ended:\n{self.told()}"

    def kill(self) -> None:
        """Send SIGKILL, like a crash. Does nothing if it has ended."""
        self._process.kill()
        self._process.wait()

    def stop(self, *, seconds: float = 15) -> int:
        """Send SIGTERM and return its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait(seconds=seconds)

    def wait(self, *, seconds: float = 15) -> int:
        """Wait for its end and return its exit status."""
        return self._process.wait(timeout=seconds)

    def told(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-5000:]

    def _wait_for(self, path: str, *, status: int, seconds: float) -> None:
        poll_until(
            lambda: self.ask(path, timeout=5).status == status,
            seconds=seconds,
            what=f"{path} to be {status}",
            state=self.told,
            every=0.05,
        )


def _answer(status: int, headers: Message, body: bytes, *, began: float) -> Answer:
    return Answer(status=status, headers=headers, body=body, seconds=time.monotonic() - began)
