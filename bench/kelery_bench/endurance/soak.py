"""The soak: many runs through both APIs, after which no part may have grown and nothing may be left.

`python -m kelery_bench.endurance.soak [--runs 20000]` prints a table. It exits with 1 if something grew or
was left. Several clients send runs through both APIs in turns, and wait for each end. Some runs share a key,
which changes every few runs, and some fail. All are kept for some seconds only, so the stored data soon stays
level.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import redis

from kelery_bench.clients.kube_objects import TASK_RUN, KubeObjects, kube_session
from kelery_bench.endurance.by_hand import run_by_hand
from kelery_bench.endurance.growth import Growth, growth_of
from kelery_bench.endurance.soak_app import APP
from kelery_bench.endurance.soak_samples import POOL, Sample, Sampler, hasten_purges
from kelery_bench.local_stack import LocalStack, local_stack
from kelery_dev.errors import DevError

_CUSTOMERS = 32
_TTL_SECONDS = 10
#: The operator's margin (`decide.RETAIN_MARGIN_SECONDS`), by which it keeps records longer than TaskRuns.
_MARGIN_SECONDS = 3600.0
#: A sample is taken after this time, or after this share of the soak, so a short soak has several too.
_SAMPLE_SECONDS = 1.0
_SAMPLE_SHARE = 0.05
_WARM_UP_SHARE = 0.5
_LEFT_SECONDS = 60.0
_RUN_SECONDS = 60.0
_RUNS_OF_A_KEY = 6
#: The ledger trims its stream by whole nodes, so it may exceed 20,000 entries slightly.
_STREAM_BOUND = 21_000
_FINAL = {"Succeeded", "Failed", "Cancelled"}
_MIB = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """The findings of a soak."""

    runs: int
    seconds: float
    growths: tuple[Growth, ...]
    #: The largest length of the stream, and the largest number of records.
    stream: int
    records: int
    #: What was left after its time to live.
    records_left: int
    taskruns_left: int

    @property
    def is_good(self) -> bool:
        """Nothing grew, nothing was left."""
        grew = any(not growth.is_bounded for growth in self.growths if growth.part != POOL)
        return not (grew or self.records_left or self.taskruns_left or self.stream > _STREAM_BOUND)


def soak(*, runs: int) -> Soaked:
    """Start a stack, send the runs, and wait until their records are gone."""
    with (
        local_stack(app=APP) as stack,
        redis.Redis.from_url(stack.valkey.url) as client,
    ):
        return asyncio.run(_Soak(stack, client, runs=runs).run())


class _Soak:
    """One soak on one stack."""

    def __init__(self, stack: LocalStack, client: redis.Redis, *, runs: int) -> None:
        self._stack = stack
        self._client = client
        self._runs = runs
        self._namespace = stack.create_namespace("soak")
        self._sampler = Sampler(stack, client)
        self._samples: list[Sample] = []
        self._ended = 0
        self._is_time_to_look = asyncio.Event()
        #: TaskRuns whose end somebody waits for.
        self._waited: dict[str, asyncio.Future[str]] = {}

    async def run(self) -> Soaked:
        began = time.perf_counter()
        async with (
            kube_session(self._stack.access) as session,
            aiohttp.ClientSession(self._stack.gateway_url) as gateway,
        ):
            taskruns = KubeObjects(session, path=TASK_RUN.path(self._namespace))
            looking = asyncio.create_task(self._look_on())
            async with taskruns.watched(self._on_event):
                numbers = iter(range(self._runs))
                await asyncio.gather(
                    *(self._customer(numbers, taskruns, gateway) for _ in range(min(_CUSTOMERS, self._runs)))
                )
            seconds = time.perf_counter() - began
            await _end(looking)
            records_left, taskruns_left = await self._left(taskruns)
        return Soaked(
            runs=self._ended,
            seconds=seconds,
            growths=self._growths(),
            stream=max(sample.stream for sample in self._samples),
            records=max(sample.records for sample in self._samples),
            records_left=records_left,
            taskruns_left=taskruns_left,
        )

    async def _customer(
        self, numbers: Iterator[int], taskruns: KubeObjects, gateway: aiohttp.ClientSession
    ) -> None:
        for number in numbers:
            spec = _spec(number)
            if number % 2:
                phase = await self._by_kubernetes(number, spec, taskruns)
            else:
                phase = await self._by_http(spec, gateway)
            wanted = "Failed" if _fails(number) else "Succeeded"
            if phase != wanted:
                raise DevError(f"run {number} of the soak is {phase} instead of {wanted}")
            self._ended += 1
            if self._ended % max(1, int(_SAMPLE_SHARE * self._runs)) == 0:
                self._is_time_to_look.set()

    async def _by_kubernetes(self, number: int, spec: Mapping[str, Any], taskruns: KubeObjects) -> str:
        name = f"run-{number}"
        end: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waited[name] = end
        await taskruns.create(TASK_RUN.body(name, spec))
        async with asyncio.timeout(_RUN_SECONDS):
            return await end

    async def _by_http(self, spec: Mapping[str, Any], gateway: aiohttp.ClientSession) -> str:
        url = f"/v1/namespaces/{self._namespace}/taskruns"
        async with gateway.post(url, params={"wait": "60s"}, json={"spec": spec}) as answer:
            body: Mapping[str, Any] = await answer.json()
        return str((body.get("status") or {}).get("phase") or body)

    def _on_event(self, kind: str, body: Mapping[str, Any]) -> None:
        phase = (body.get("status") or {}).get("phase")
        if phase in _FINAL:
            waiting = self._waited.pop(body["metadata"]["name"], None)
            if waiting is not None:
                waiting.set_result(phase)

    async def _look_on(self) -> None:
        while True:
            self._is_time_to_look.clear()
            self._samples.append(await asyncio.to_thread(self._sampler.look, runs=self._ended))
            await asyncio.to_thread(hasten_purges, self._client, margin_seconds=_MARGIN_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SAMPLE_SECONDS):
                    await self._is_time_to_look.wait()

    async def _left(self, taskruns: KubeObjects) -> tuple[int, int]:
        """The numbers of records and TaskRuns that are left; waits until both are 0 or the time is over."""
        deadline = time.monotonic() + _TTL_SECONDS + _LEFT_SECONDS
        while True:
            hasten_purges(self._client, margin_seconds=_MARGIN_SECONDS)
            left = self._sampler.look(runs=self._ended).records, await taskruns.count()
            if not any(left) or time.monotonic() > deadline:
                return left
            await asyncio.sleep(_SAMPLE_SECONDS)

    def _growths(self) -> tuple[Growth, ...]:
        warm = [sample for sample in self._samples if sample.runs >= _WARM_UP_SHARE * self._runs]
        if len(warm) < 2 or warm[0].runs == warm[-1].runs:
            raise DevError(f"{self._runs} runs are too few to detect growth: raise --runs")
        runs = [sample.runs for sample in warm]
        return tuple(
            growth_of(part, runs=runs, sizes=[sample.memory[part] for sample in warm])
            for part in warm[0].memory
        )


def _spec(number: int) -> dict[str, Any]:
    """The spec of the run with that number."""
    spec: dict[str, Any] = {"task": "bench.echo", "args": [{"number": number, "pages": list(range(20))}]}
    if _fails(number):
        spec.update(task="bench.sleep", args=["a word"])
    if number % 4 < 2:
        spec["concurrency"] = {"key": f"tenant-{number // _RUNS_OF_A_KEY}"}
    return {**spec, "ttlSecondsAfterFinished": _TTL_SECONDS}


def _fails(number: int) -> bool:
    """Whether the run fails; some do through each API. Celery rarely frees the memory of failures."""
    return number % 16 in (6, 7)


async def _end(task: asyncio.Task[None]) -> None:
    if task.done():
        task.result()
    task.cancel()
    await asyncio.wait({task})


def table(found: Soaked) -> str:
    """The findings as text."""
    width = max(len(growth.part) for growth in found.growths)
    rate = found.runs / found.seconds
    lines = [
        f"{found.runs:,} runs in {found.seconds:.0f} s, {rate:.0f}/s, half of them through each API",
        "",
        f"{'memory after the warm-up':{width}}  {'first':>9}  {'last':>9}  {'per run':>7}",
    ]
    lines += [_row(growth, width=width) for growth in found.growths]
    lines += [
        "",
        f"stream: {found.stream:,} entries at most",
        f"records: {found.records:,} at most, {found.records_left} left;"
        f" TaskRuns: {found.taskruns_left} left",
    ]
    return "\n".join(lines)


def _row(growth: Growth, *, width: int) -> str:
    sizes = "  ".join(f"{size / _MIB:5.1f} MiB" for size in (growth.first, growth.last))
    judged = "bounded" if growth.is_bounded else "GROWS"
    verdict = "not judged" if growth.part == POOL else judged
    return f"{growth.part:{width}}  {sizes}  {growth.per_run:5.0f} B  {verdict}"


if __name__ == "__main__":
    run_by_hand(
        "soak",
        lambda runs: soak(runs=runs),
        table=table,
        asks="Send runs through both APIs, and check that no memory grows and no data is left.",
        runs=20_000,
        runs_are="number of runs",
    )
