"""The second part of the demo: runs over HTTP, and runs of both APIs that share a key.

Each step is shown as a command with its outcome. The first unexpected outcome ends the demo with a message.
"""

import asyncio
import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kelery_dev.demo.http import Answer, Event, HttpDoor
from kelery_dev.demo.kubectl import Kubectl
from kelery_dev.demo.screen import Screen, cut
from kelery_dev.errors import DevError

_RUNS = "/v1/namespaces/default/taskruns"
_KEY = "/v1/namespaces/default/keys/both-apis"
_SECONDS = 10.0
_POLL_SECONDS = 0.1


class Unexpected(Exception):
    """An unexpected outcome; the message names it."""


class HttpDemo:
    """One pass through both APIs of a running stack; `folder` contains the manifests and bodies."""

    def __init__(self, *, http: HttpDoor, kubectl: Kubectl, screen: Screen, folder: Path) -> None:
        self._http = http
        self._kubectl = kubectl
        self._screen = screen
        self._folder = folder

    async def run(self) -> list[str]:
        """The problem as a clause, or an empty list."""
        try:
            await self._one_at_a_time()
            await self._one_key()
            await self._follow()
        except (Unexpected, DevError) as problem:
            return [str(problem)]
        return []

    async def _one_at_a_time(self) -> None:
        self._screen.heading("Over HTTP: one at a time")
        started = await self._curl("/start", expected=200)
        refused = await self._curl("/start", expected=409)
        _require(
            refused.body["id"],
            equals=started.body["id"],
            problem="the rejected /start did not return the id of the current run",
        )
        status = await self._curl("/status", expected=200)
        _require(
            status.body["id"], equals=started.body["id"], problem="/status did not return the current run"
        )
        await self._curl("/cancel", expected=200)
        await self._curl_until("/status", "REVOKED", read=lambda answer: answer.body["status"])

    async def _one_key(self) -> None:
        self._screen.heading("One key through both APIs")
        self._screen.command(f"RUNS=$KELERY_URL{_RUNS}")
        await self._curl(_RUNS, body="with-curl.json", expected=202)
        await self._apply("with-kubectl.yaml")
        await self._kubectl_waits("with-kubectl", "{.status.concurrency.heldBy[0]}", is_now="with-curl")
        await self._curl(f"{_RUNS}/with-kubectl", expected=200)
        key = await self._curl(_KEY, expected=200)
        counts = [key.body["held"], key.body["waiting"]]
        _require(counts, equals=[1, 1], problem=f"the key had {counts} holders and waiters (expected [1, 1])")
        await self._apply("takes-over.yaml")
        await self._kubectl_waits("takes-over", "{.status.phase}", is_now="Running")
        await self._curl_until(f"{_RUNS}/with-curl", "Cancelled", read=_phase)
        await self._curl_until(f"{_RUNS}/with-kubectl", "Cancelled", read=_phase)
        again = await self._curl(_RUNS, body="with-curl.json", expected=202)
        _require(
            _phase(again), equals="Waiting", problem="a run over HTTP did not wait for the run of kubectl"
        )
        await self._curl(f"{_RUNS}/takes-over:cancel", method="POST", expected=200)
        await self._kubectl_waits("takes-over", "{.status.reason}", is_now="CancelledByUser")
        await self._curl_until(f"{_RUNS}/with-curl", "Running", read=_phase)
        await self._curl(f"{_RUNS}/with-curl", method="DELETE", expected=204)

    async def _follow(self) -> None:
        self._screen.heading("Event stream of a run")
        run = await self._curl(_RUNS, body="progress.json", expected=202)
        path = f"{_RUNS}/{run.body['metadata']['name']}/events"
        self._screen.command(f"curl -N {_typed(path)}")
        events = []
        async for event in self._http.events(path):
            self._screen.plain(cut(f"{event.id:>4}  {event.name:<9} {_said(event)}"))
            events.append(event)
        names = [event.name for event in events]
        _require("progress" in names, equals=True, problem="the stream had no progress event")
        _require(names[-1], equals="finished", problem="the stream did not end with the event finished")
        last = events[-1].data["status"]["phase"]
        _require(last, equals="Succeeded", problem=f"the run of the event stream ended as {last}")

    async def _curl(
        self, path: str, *, expected: int, method: str = "GET", body: str | None = None
    ) -> Answer:
        """Send one request, show it, and check its status."""
        file = self._folder / body if body else None
        self._screen.command(_curl_command(path, method=method, file=file))
        content = await asyncio.to_thread(file.read_bytes) if file else None
        answer = await self._http.ask("POST" if file else method, path, body=content)
        self._screen.plain(cut(_summary(answer)))
        _require(
            answer.status,
            equals=expected,
            problem=f"{path} returned {answer.status} (expected {expected})",
        )
        return answer

    async def _curl_until(self, path: str, wanted: str, *, read: Callable[[Answer], Any]) -> None:
        """Repeat a request until its response is as wanted; show only the last."""
        self._screen.command(_curl_command(path))
        until = time.monotonic() + _SECONDS
        while True:
            answer = await self._http.ask("GET", path)
            said = read(answer) if answer.status == 200 else answer.status
            if said == wanted or time.monotonic() > until:
                break
            await asyncio.sleep(_POLL_SECONDS)
        self._screen.plain(cut(_summary(answer)))
        _require(said, equals=wanted, problem=f"{path} was {said} after {_SECONDS:g} s (expected {wanted})")

    async def _apply(self, name: str) -> None:
        file = self._folder / name
        self._screen.command(f"kubectl apply -f {_shown(file)}")
        self._screen.plain(await self._kubectl.run("apply", "-f", str(file)))

    async def _kubectl_waits(self, name: str, field: str, *, is_now: str) -> None:
        arguments = ("wait", "taskrun", name, f"--for=jsonpath={field}={is_now}")
        self._screen.command(f"kubectl {shlex.join(arguments)}")
        self._screen.plain(await self._kubectl.run(*arguments))


def _require(seen: Any, *, equals: Any, problem: str) -> None:
    if seen != equals:
        raise Unexpected(problem)


def _phase(answer: Answer) -> Any:
    return answer.body["status"]["phase"]


def _curl_command(path: str, *, method: str = "GET", file: Path | None = None) -> str:
    words = ["curl"]
    if file:
        words += ["-H content-type:application/json", f"-d @{_shown(file)}"]
    elif method != "GET":
        words.append(f"-X {method}")
    return " ".join([*words, _typed(path)])


def _typed(path: str) -> str:
    """The path with the variables that the user types."""
    return path.replace(_RUNS, "$RUNS") if path.startswith(_RUNS) else f"$KELERY_URL{path}"


def _summary(answer: Answer) -> str:
    """The response on one line; for a TaskRun, its name, phase and reason."""
    body = answer.body
    if body is None:
        return f"{answer.status}"
    if answer.status >= 400:
        return f"{answer.status}  {body['detail']}; id {body.get('id')}"
    if body.get("kind") == "TaskRun":
        status = body["status"]
        held_by = ", ".join((status.get("concurrency") or {}).get("heldBy") or ())
        tail = f", held by {held_by}" if held_by else ""
        return f"{answer.status}  {body['metadata']['name']}: {status['phase']}/{status['reason']}{tail}"
    return f"{answer.status}  {json.dumps(body)}"


def _said(event: Event) -> str:
    data = event.data
    if event.name == "phase":
        return f"{data['phase']}/{data['reason']}"
    if event.name == "progress":
        return f"{data['current']} of {data['total']}: {data['message']}"
    status = data["status"]
    return f"{status['phase']}/{status['reason']}, result {json.dumps(status.get('result', {}).get('value'))}"


def _shown(file: Path) -> Path:
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
