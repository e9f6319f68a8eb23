"""The supervisor with real processes that die, hang or move to another session."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from kelery_dev.errors import DevError
from kelery_dev.supervise.child_process import Command
from kelery_dev.supervise.console import Console
from kelery_dev.supervise.service import Service, StopStep, terminate
from kelery_dev.supervise.supervisor import Supervisor
from tests.support.marked_processes import Marked

STAND_IN = str(Path(__file__).with_name("stand_in.py"))
_SEE_SECONDS = 20


def service(*flags: str, essential: bool = False, steps: tuple[StopStep, ...] = terminate(5)) -> Service:
    """A stand-in that is ready once it prints its line."""
    return Service(
        command=Command(name="thing", argv=(sys.executable, STAND_IN, "worker", *flags)),
        ready_line=" ready.",
        ready_seconds=20,
        stop_steps=steps,
        essential=essential,
        talkative=True,
    )


class Stage:
    """A supervisor and what it printed."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self._folder = folder

    def play(self, scene: Callable[[Supervisor], Awaitable[None]]) -> None:
        """Run a scene in an event loop of its own; all services are stopped afterwards."""

        async def run() -> None:
            supervisor = Supervisor(console=Console(write=self.lines.append), logs=self._folder)
            try:
                await scene(supervisor)
            finally:
                await supervisor.stop()

        asyncio.run(run())

    async def see(self, text: str, *, times: int = 1) -> None:
        """Wait until a text was printed this many times."""
        deadline = time.monotonic() + _SEE_SECONDS
        while sum(text in line for line in self.lines) < times:
            assert time.monotonic() < deadline, f"no {text!r} in:\n" + "\n".join(self.lines)
            await asyncio.sleep(0.05)


@pytest.fixture
def stage(tmp_path: Path, marked: Marked) -> Stage:
    return Stage(tmp_path)


def test_a_part_that_dies_is_named_and_started_again_after_a_pause(stage: Stage) -> None:
    async def scene(supervisor: Supervisor) -> None:
        await supervisor.start(service())
        first = supervisor.pid("thing")
        assert first
        killed = time.monotonic()
        os.kill(first, signal.SIGKILL)
        await stage.see("thing is up", times=2)
        assert supervisor.pid("thing") != first
        assert time.monotonic() - killed >= 1

    stage.play(scene)
    assert "kelery   | thing died (signal SIGKILL); restarting it in 1 s" in stage.lines


def test_a_part_that_keeps_dying_waits_longer_each_time(stage: Stage) -> None:
    async def scene(supervisor: Supervisor) -> None:
        starting = asyncio.create_task(supervisor.start(service("--exit=3")))
        await stage.see("died (exit code 3); restarting it in 2 s")
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)

    stage.play(scene)


def test_an_essential_part_that_does_not_start_is_an_error_with_its_last_words(stage: Stage) -> None:
    async def scene(supervisor: Supervisor) -> None:
        with pytest.raises(DevError, match=r"thing ended during its start:\n  \| giving up"):
            await supervisor.start(service("--exit=1", essential=True))

    stage.play(scene)


def test_log_lines_carry_the_name_of_the_part_and_go_to_its_file(stage: Stage, tmp_path: Path) -> None:
    async def scene(supervisor: Supervisor) -> None:
        await supervisor.start(service())

    stage.play(scene)
    assert "thing    | celery@worker ready." in stage.lines
    assert "celery@worker ready." in (tmp_path / "thing.log").read_text()


def test_a_part_that_ignores_every_request_is_killed_after_its_grace(stage: Stage, marked: Marked) -> None:
    steps = tuple(StopStep(signal=number, seconds=0.5) for number in (signal.SIGTERM, signal.SIGQUIT))

    async def scene(supervisor: Supervisor) -> None:
        await supervisor.start(service("--stubborn", steps=steps))
        began = time.monotonic()
        await supervisor.stop()
        # It waited for both graces; without the kill it would not end.
        assert time.monotonic() - began >= 1.0

    stage.play(scene)
    assert marked.names() == []


def test_a_process_that_fled_to_another_session_ends_with_its_service(
    stage: Stage, marked: Marked, tmp_path: Path
) -> None:
    note = tmp_path / "orphan"

    async def scene(supervisor: Supervisor) -> None:
        await supervisor.start(service(f"--orphan={note}"))
        assert psutil.pid_exists(int(note.read_text()))

    stage.play(scene)
    assert marked.names() == []


def test_a_second_request_kills_at_once(stage: Stage, marked: Marked) -> None:
    async def scene(supervisor: Supervisor) -> None:
        await supervisor.start(service("--stubborn", steps=terminate(60)))
        stopping = asyncio.create_task(supervisor.stop())
        await asyncio.sleep(0)
        supervisor.kill()
        await asyncio.wait_for(stopping, timeout=10)

    stage.play(scene)
    assert marked.names() == []


def test_a_reload_starts_the_part_again_without_a_pause(stage: Stage) -> None:
    async def scene(supervisor: Supervisor) -> None:
        await supervisor.start(service())
        first = supervisor.pid("thing")
        await supervisor.reload("thing")
        await stage.see("thing is up", times=2)
        assert supervisor.pid("thing") != first

    stage.play(scene)
    assert not any("died" in line for line in stage.lines)


def test_a_reload_begins_a_new_series_of_waits(stage: Stage) -> None:
    async def scene(supervisor: Supervisor) -> None:
        starting = asyncio.create_task(supervisor.start(service("--exit=3")))
        await stage.see("restarting it in 4 s")
        await supervisor.reload("thing")
        await stage.see("restarting it in 1 s", times=2)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)

    stage.play(scene)


def test_a_death_names_the_log_and_shows_three_lines_at_most(stage: Stage, tmp_path: Path) -> None:
    code = "for n in range(9): print('line', n)\nprint(' ready.', flush=True)\nimport time; time.sleep(600)"
    quiet = replace(
        service(),
        command=Command(name="thing", argv=(sys.executable, "-c", code)),
        talkative=False,
    )

    async def scene(supervisor: Supervisor) -> None:
        await supervisor.start(quiet)
        os.kill(supervisor.pid("thing") or 0, signal.SIGKILL)
        await stage.see("log:")

    stage.play(scene)
    first = next(n for n, line in enumerate(stage.lines) if "thing died" in line)
    assert [line.partition("| ")[2] for line in stage.lines[first + 1 : first + 5]] == [
        "  | line 7",
        "  | line 8",
        "  |  ready.",
        f"  log: {tmp_path / 'thing.log'}",
    ]
