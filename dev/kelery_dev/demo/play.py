"""The first part of the demo: applies each example, shows its runs, and cancels those that request it.

It uses only what a watch shows. It stops waiting for a step that hangs; the runs are checked at the end.
"""

import asyncio
import contextlib
import functools
import json
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any

from kelery.run.phases import Phase
from kelery_dev.demo.examples import Example, ExampleRun
from kelery_dev.demo.kubectl import Kubectl
from kelery_dev.demo.screen import Screen
from kelery_dev.demo.verdict import is_final, key_uses, problem
from kelery_dev.errors import DevError

_EXAMPLE_SECONDS = 15.0
_ALL_SECONDS = 50.0


class Demo:
    """One pass over the examples against a running stack."""

    def __init__(self, examples: Sequence[Example], *, kubectl: Kubectl, screen: Screen) -> None:
        self._examples = examples
        self._kubectl = kubectl
        self._screen = screen
        self._statuses: dict[str, Mapping[str, Any]] = {}
        self._changed = asyncio.Event()
        self._until = time.monotonic() + _ALL_SECONDS

    async def run(self) -> list[str]:
        """Apply and follow all examples; returns a clause for each problem."""
        watch = asyncio.create_task(self._follow())
        try:
            for example in self._examples:
                await self._with_watch(watch, self._play(example))
            await self._with_watch(watch, self._wait(lambda: all(map(self._ended, self._runs()))))
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError, DevError):
                await watch
        return self._conclude()

    def _runs(self) -> list[ExampleRun]:
        return [run for example in self._examples for run in example.runs]

    async def _with_watch(self, watch: "asyncio.Task[None]", step: Coroutine[Any, Any, None]) -> None:
        """Run a step, and fail if the watch fails: without it no end is noticed."""
        playing = asyncio.create_task(step)
        try:
            await asyncio.wait({watch, playing}, return_when=asyncio.FIRST_COMPLETED)
            if watch.done():
                watch.result()
            await playing
        finally:
            playing.cancel()

    async def _play(self, example: Example) -> None:
        self._screen.command(f"kubectl apply -f {_shown(example.file)}")
        await self._kubectl.run("apply", "-f", str(example.file))
        for run in example.runs:
            if run.cancel:
                await self._wait(functools.partial(self._runs_or_ended, run))
                await self._cancel(run, mode=run.cancel.value)
        await self._wait(lambda: all(map(self._may_go_on, example.runs)))

    async def _cancel(self, run: ExampleRun, *, mode: str) -> None:
        patch = json.dumps({"spec": {"cancel": mode}}, separators=(",", ":"))
        self._screen.command(f"kubectl patch taskrun {run.name} --type merge -p '{patch}'")
        await self._kubectl.run("patch", "taskrun", run.name, "--type", "merge", "-p", patch)

    async def _follow(self) -> None:
        """Show each change once, and wake the waiting step."""
        shown: dict[str, tuple[object, ...]] = {}
        async with contextlib.aclosing(self._kubectl.watch_taskruns()) as taskruns:
            async for taskrun in taskruns:
                name, status = taskrun["metadata"]["name"], taskrun.get("status") or {}
                self._statuses[name] = status
                about = _about(status)
                if status and about != shown.get(name):
                    shown[name] = about
                    self._screen.change(name, status=status)
                self._changed.set()

    async def _wait(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds or the time is over; the runs are checked at the end."""
        until = min(self._until, time.monotonic() + _EXAMPLE_SECONDS)
        while not condition():
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), timeout=until - time.monotonic())
            except TimeoutError:
                return

    def _phase(self, run: ExampleRun) -> str:
        return str(self._statuses.get(run.name, {}).get("phase", ""))

    def _runs_or_ended(self, run: ExampleRun) -> bool:
        return self._ended(run) or self._phase(run) == Phase.RUNNING.value

    def _ended(self, run: ExampleRun) -> bool:
        return is_final(self._statuses.get(run.name, {}))

    def _may_go_on(self, run: ExampleRun) -> bool:
        return self._ended(run) or (run.until is not None and self._phase(run) == run.until.value)

    def _conclude(self) -> list[str]:
        """Show the table and the use of the keys; returns the problems."""
        runs = self._runs()
        self._screen.heading(f"All {len(runs)} runs")
        self._screen.table([(run.name, self._statuses.get(run.name, {})) for run in runs])
        problems = [found for run in runs if (found := problem(run, status=self._statuses.get(run.name, {})))]
        uses = key_uses(runs, statuses=self._statuses)
        if uses:
            self._screen.heading("Shared keys")
        for use in uses:
            line = f"{use.runs} runs, limit {use.limit}, at most {use.most_at_once} at once"
            self._screen.plain(f"{use.key:<16} {line}")
            if use.most_at_once > use.limit:
                problems.append(
                    f"the key {use.key} had {use.most_at_once} runs at once; its limit is {use.limit}"
                )
        return problems


def _about(status: Mapping[str, Any]) -> tuple[object, ...]:
    """The part of a status whose change is shown."""
    key, progress = status.get("concurrency") or {}, status.get("progress") or {}
    waiting = (
        (tuple(key.get("heldBy") or ()), key.get("position")) if status.get("phase") == "Waiting" else ()
    )
    return status.get("phase"), status.get("reason"), status.get("attempt"), progress.get("text"), waiting


def _shown(file: Path) -> Path:
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
