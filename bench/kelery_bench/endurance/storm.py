"""The storm: thousands of TaskRuns at once in one namespace, while runs of another namespace must still
start.

`python -m kelery_bench.endurance.storm [--runs 5000]` prints the figures, next to those of an idle stack. It
exits with 1 if /livez failed once, or if a calm run needed more than a second to start. The calm runs have
their own queue and worker, because a shared queue is first in, first out.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from kelery_bench.clients.kube_objects import TASK_RUN, KubeObjects, kube_session
from kelery_bench.endurance.by_hand import run_by_hand
from kelery_bench.endurance.storm_sender import Passed, send_storm
from kelery_bench.figures.costs import resident_bytes
from kelery_bench.figures.stamps import read_stamps
from kelery_bench.local_stack import LocalStack, StackService, local_stack
from kelery_dev.errors import DevError

_QUEUE = "calm"
_IDLE_RUNS = 20
_BETWEEN_RUNS_SECONDS = 0.25
_BETWEEN_LOOKS_SECONDS = 0.1
#: The timeout of a liveness probe; the kubelet restarts an operator after several timeouts.
PROBE_SECONDS = 5.0
_START_GOAL_SECONDS = 1.0
_START_PATIENCE_SECONDS = 60.0
_MIB = 2**20
_WIDTH = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The times of a calm run, in seconds since its request was sent."""

    #: The API server has answered; the time before is not the operator's.
    created: float
    #: The task has started.
    started: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Weathered:
    """The findings of a storm; all times in seconds."""

    runs: int
    passed: Passed
    idle_starts: tuple[Start, ...]
    storm_starts: tuple[Start, ...]
    #: The response times of /livez during the storm; infinite for a failure.
    looks: tuple[float, ...]
    operator_bytes: int

    @property
    def is_good(self) -> bool:
        """Whether /livez always answered and no calm run was late."""
        return max(self.looks) <= PROBE_SECONDS and self.latest_start <= _START_GOAL_SECONDS

    @property
    def latest_start(self) -> float:
        """The longest start of a calm run during the storm."""
        return max(start.started for start in self.storm_starts)


def storm(*, runs: int) -> Weathered:
    """Start a stack, measure it idle, send the storm, and measure until the last of its runs has ended."""
    with local_stack(gateway=False) as stack:
        stack.start_worker("-Q", _QUEUE, concurrency=1)
        return asyncio.run(_weather(stack, runs=runs))


async def _weather(stack: LocalStack, *, runs: int) -> Weathered:
    assert stack.operator is not None, "the stack has an operator"
    calm, stormy = stack.create_namespace("calm"), stack.create_namespace("storm")
    loop = asyncio.get_running_loop()
    starts: list[Start] = []
    looks: list[float] = []
    spawn = multiprocessing.get_context("spawn")
    async with kube_session(stack.access) as session, aiohttp.ClientSession() as health:
        caller = _Caller(KubeObjects(session, path=TASK_RUN.path(calm)), folder=stack.folder)
        await caller.start_once()
        idle = [await caller.start_once() for _ in range(_IDLE_RUNS)]
        with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as sender:
            sending = loop.run_in_executor(sender, send_storm, stack.plane.kubeconfig, stormy, runs)
            looking = asyncio.create_task(_look(health, stack.operator, looks, until=sending))
            while not sending.done():
                starts.append(await caller.start_once())
                await asyncio.sleep(_BETWEEN_RUNS_SECONDS)
            passed = await sending
            await looking
    return Weathered(
        runs=runs,
        passed=passed,
        idle_starts=tuple(idle),
        storm_starts=tuple(starts),
        looks=tuple(looks),
        operator_bytes=resident_bytes(stack.operator.pid),
    )


class _Caller:
    """Sends runs one at a time; each records its start."""

    def __init__(self, objects: KubeObjects, *, folder: Path) -> None:
        self._objects = objects
        self._file = folder / "calm.stamps"
        self._numbers: Iterator[int] = itertools.count()

    async def start_once(self) -> Start:
        """Send one run; returns when its task has started."""
        label = f"calm-{next(self._numbers)}"
        spec = {"task": "bench.stamp", "args": [str(self._file), label], "queue": _QUEUE}
        began = time.monotonic_ns()
        await self._objects.create(TASK_RUN.body(label, spec))
        created = time.monotonic_ns()
        while True:
            for stamp in read_stamps(self._file):
                if stamp.label == label:
                    return Start(created=(created - began) / 1e9, started=(stamp.began - began) / 1e9)
            if time.monotonic_ns() - began > _START_PATIENCE_SECONDS * 1e9:
                raise DevError(f"the run {label} did not start within {_START_PATIENCE_SECONDS:g} s")
            await asyncio.sleep(0.01)


async def _look(
    health: aiohttp.ClientSession,
    operator: StackService,
    looks: list[float],
    *,
    until: asyncio.Future[Passed],
) -> None:
    while not until.done():
        looks.append(await _livez(health, operator))
        await asyncio.sleep(_BETWEEN_LOOKS_SECONDS)


async def _livez(health: aiohttp.ClientSession, operator: StackService) -> float:
    began = time.perf_counter()
    timeout = aiohttp.ClientTimeout(total=2 * PROBE_SECONDS)
    try:
        async with health.get(f"{operator.url}/livez", timeout=timeout) as answer:
            await answer.read()
            return time.perf_counter() - began if answer.status == 200 else float("inf")
    except (aiohttp.ClientError, TimeoutError):
        return float("inf")


def table(found: Weathered) -> str:
    """The findings as text."""
    passed, rate = found.passed, found.runs / found.passed.ended
    return "\n".join(
        [
            f"{found.runs:,} TaskRuns created in {passed.created:.1f} s",
            f"all succeeded after {passed.ended:.1f} s, {rate:.0f}/s;"
            f" memory of the operator: {found.operator_bytes / _MIB:.0f} MiB",
            "",
            f"{'seconds':{_WIDTH}}  {'p50':>7}  {'p95':>7}  {'worst':>7}  {'of':>5}",
            _row("idle: calm run created", [start.created for start in found.idle_starts]),
            _row("idle: calm run started", [start.started for start in found.idle_starts]),
            _row("storm: calm run created", [start.created for start in found.storm_starts]),
            _row("storm: calm run started", [start.started for start in found.storm_starts]),
            _row("storm: /livez answered", found.looks),
        ]
    )


def _row(title: str, times: Sequence[float]) -> str:
    p95 = statistics.quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]
    shown = (statistics.median(times), p95, max(times))
    return f"{title:{_WIDTH}}  " + "  ".join(f"{seconds:7.3f}" for seconds in shown) + f"  {len(times):5}"


if __name__ == "__main__":
    run_by_hand(
        "storm",
        lambda runs: storm(runs=runs),
        table=table,
        asks="Create TaskRuns at once, and check that the operator stays alive and other runs still start.",
        runs=5_000,
        runs_are="number of TaskRuns at once",
    )
