"""The gateway's figures, each as a ratio to the same work without Kelery, on the same machine in one session.

Repeat with: .venv/bin/python -m pytest tests/perf -s
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from celery import Celery

from kelery_dev.control_plane.control_plane import ControlPlane
from kelery_dev.supervise.ports import free_port
from tests.perf.http_load import Prepared, latencies, prepare, throughput
from tests.perf.test_figures import percentile, plain_celery, timed
from tests.support.accounts import new_account, on_taskruns
from tests.support.polling import poll_until
from tests.support.system import System, system

__all__ = ["plain_celery", "system"]

ROUNDS = 5
TURNS = 20


@pytest.fixture
def bare_url(system: System) -> Iterator[str]:
    """The bare app's address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("bare_app.py")), str(port)],
        env={**os.environ, "USERS_BROKER": system.valkey.url},
    )
    url = f"http://127.0.0.1:{port}"
    try:
        poll_until(lambda: _answers(f"{url}/openapi.json"), seconds=30, what="the bare app")
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False


def side_by_side(
    ours: Prepared, theirs: Prepared, *, count: int, connections: int
) -> list[tuple[float, float]]:
    """Requests per second of both, measured in short turns, so that a busy moment affects both."""

    async def measure() -> list[tuple[float, float]]:
        turns = [
            (
                await throughput(ours, count=count, connections=connections),
                await throughput(theirs, count=count, connections=connections),
            )
            for _ in range(TURNS + 1)
        ]
        return turns[1:]

    return asyncio.run(measure())


def test_posting_a_run_costs_little_more_than_sending_a_task(system: System, bare_url: str) -> None:
    gateway = system.start_gateway()
    ours = prepare(
        "POST",
        f"{gateway.url}/v1/namespaces/default/taskruns",
        body={"spec": {"task": "users.echo", "args": [1], "queue": "bare"}},
        status=202,
    )
    theirs = prepare("POST", f"{bare_url}/tasks", body={"task": "users.echo", "args": [1]}, status=202)
    turns = side_by_side(ours, theirs, count=160, connections=8)
    gateway.kill()
    kelery, bare = (statistics.median(rates) for rates in zip(*turns, strict=True))
    ratio = statistics.median(ours / theirs for ours, theirs in turns)
    print(f"POST accepted    {kelery:6.0f}/s   bare FastAPI + send_task {bare:6.0f}/s   {ratio:.2f}")
    assert ratio >= 0.6


def test_a_result_by_one_request_is_about_as_fast_as_from_a_bare_app(
    system: System, plain_celery: Celery, bare_url: str
) -> None:
    """Compared with the same request to a bare app. Plain Celery, without HTTP, is only printed."""
    gateway = system.start_gateway()
    ours = prepare(
        "POST",
        f"{gateway.url}/v1/namespaces/default/taskruns?wait=30s",
        body={"spec": {"task": "users.echo", "args": [1]}},
        status=202,
    )
    theirs = prepare("POST", f"{bare_url}/results", body={"task": "users.echo", "args": [1]}, status=202)

    def over_http(request: Prepared) -> list[float]:
        return [seconds * 1000 for seconds in asyncio.run(latencies(request, count=60))[10:]]

    def through_celery() -> float:
        began = time.perf_counter()
        plain_celery.send_task("users.echo", args=[1]).get(timeout=10)
        return time.perf_counter() - began

    found: dict[str, list[float]] = {"POST ?wait": [], "bare app": [], "plain Celery": []}
    for _ in range(ROUNDS):
        found["POST ?wait"] += over_http(ours)
        found["bare app"] += over_http(theirs)
        found["plain Celery"] += timed(30, through_celery)
    gateway.kill()
    for name, times in found.items():
        print(f"{name:16} p50 {percentile(times, 50):6.2f} ms   p90 {percentile(times, 90):6.2f} ms")
    kelery, bare, celery = (statistics.median(times) for times in found.values())
    print(f"POST ?wait is {kelery / bare:.2f} of the bare app, {kelery / celery:.2f} of plain Celery")
    assert kelery <= 2.5 * bare


def test_access_from_the_cache_costs_less_than_a_millisecond(
    system: System, control_plane: ControlPlane
) -> None:
    open_door = system.start_gateway()
    guarded = system.start_gateway(KELERY_AUTH="kubernetes", KUBECONFIG=str(control_plane.kubeconfig))
    account = new_account(control_plane)
    account.allow(on_taskruns("list"), namespace="default")
    token = account.token("kelery")
    path = "/v1/namespaces/default/keys"
    requests = [
        prepare("GET", guarded.url + path, headers={"Authorization": f"Bearer {token}"}, status=200),
        prepare("GET", open_door.url + path, status=200),
    ]
    found: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for request, times in zip(requests, found, strict=True):
            times += [seconds * 1000 for seconds in asyncio.run(latencies(request, count=300))[10:]]
    for process in (open_door, guarded):
        process.kill()
    with_access, without = (statistics.median(times) for times in found)
    print(f"access, cached   {with_access - without:6.3f} ms more than {without:.3f} ms")
    assert with_access - without <= 1.0
