"""When a worker may write its heartbeat, and what a probe concludes from it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from celery.worker import state

from kelery.errors import SettingsError
from kelery_worker.celery_hooks.liveness_file import FRESH_SECONDS, LivenessFile
from kelery_worker.scripts import liveness_probe

NEVER = float("-inf")
LATE = FRESH_SECONDS + 1


@dataclass
class Grounds:
    """The part of the keeper that the liveness file reads."""

    answered_at: float = 0
    is_draining: bool = False
    has_runs: bool = False


def why_silent(grounds: Grounds, *, looped_ago: float, looks_at_loop: bool = True) -> str:
    now = time.monotonic()
    grounds.answered_at += now
    liveness_file: Any = LivenessFile("unused", keeper=grounds, looks_at_loop=looks_at_loop)  # type: ignore[arg-type]
    liveness_file._looped_at = now - looped_ago
    return str(liveness_file.why_silent(now))


@pytest.mark.parametrize(
    ("grounds", "looped_ago", "beats"),
    [
        (Grounds(), 1, True),
        (Grounds(), LATE, False),
        (Grounds(), -NEVER, False),
        (Grounds(answered_at=-LATE), 1, False),
        (Grounds(answered_at=NEVER), 1, False),
        # Draining with a run, and draining without one.
        (Grounds(is_draining=True, has_runs=True), LATE, True),
        (Grounds(is_draining=True), LATE, False),
        (Grounds(is_draining=True, has_runs=True, answered_at=-LATE), LATE, False),
        # Without a drain, runs prove nothing: the loop must run.
        (Grounds(has_runs=True), LATE, False),
    ],
)
def test_a_beat_needs_the_ledger_and_the_loop(grounds: Grounds, looped_ago: float, beats: bool) -> None:
    assert (why_silent(grounds, looped_ago=looped_ago) == "") == beats


def test_a_drain_may_also_wait_for_a_plain_task() -> None:
    class PlainTask:
        """A request in Celery's set of active requests."""

    task: Any = PlainTask()
    state.active_requests.add(task)
    try:
        assert why_silent(Grounds(is_draining=True), looped_ago=LATE) == ""
    finally:
        state.active_requests.discard(task)
    assert why_silent(Grounds(is_draining=True), looped_ago=LATE) != ""


def test_what_is_said_tells_a_loop_that_hangs_from_a_ledger_that_is_away() -> None:
    assert why_silent(Grounds(answered_at=-0.1), looped_ago=60) == (
        "the ledger last answered 0 s ago, and the consumer's event loop last ran 60 s ago"
    )


def test_a_loop_in_which_tasks_run_is_not_looked_at() -> None:
    assert why_silent(Grounds(), looped_ago=LATE, looks_at_loop=False) == ""


def test_a_file_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    file = str(tmp_path / "missing" / "heartbeat")
    keeper: Any = Grounds()
    with pytest.raises(SettingsError, match=r"KELERY_HEARTBEAT_FILE=.*: cannot write the file: No such file"):
        LivenessFile(file, keeper=keeper, looks_at_loop=True).start()


def beat_of(seconds_from_now: int) -> Callable[[], str]:
    """A heartbeat of that time, relative to the moment of the call."""
    return lambda: f"{time.monotonic_ns() + seconds_from_now * 10**9:020d}\n"


def test_a_beat_is_never_of_the_future(tmp_path: Path) -> None:
    file, keeper = tmp_path / "heartbeat", Grounds(answered_at=time.monotonic())
    any_keeper: Any = keeper
    liveness_file = LivenessFile(str(file), keeper=any_keeper, looks_at_loop=True)
    liveness_file.looped()
    for _ in range(2000):
        liveness_file._beat()
        assert liveness_probe.why_dead(str(file), 1) == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (beat_of(0), ""),
        (beat_of(-9), ""),
        (beat_of(-11), "11 s old"),
        (beat_of(1000), "earlier boot"),
        (lambda: "", "no heartbeat yet"),
        (lambda: "so so", "no heartbeat yet"),
    ],
)
def test_a_heartbeat_is_good_for_so_many_seconds(tmp_path: Path, text: Any, problem: str) -> None:
    file = tmp_path / "heartbeat"
    file.write_text(text())
    reason = liveness_probe.why_dead(str(file), 10)
    assert problem in reason
    assert bool(reason) == bool(problem)


def probe(*words: str) -> subprocess.CompletedProcess[str]:
    script = liveness_probe.__file__
    assert script is not None
    return subprocess.run(
        [sys.executable, "-I", "-S", "-X", "importtime", script, *words], capture_output=True, text=True
    )


def test_what_a_probe_runs_imports_neither_celery_nor_this_package(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    file.write_text(beat_of(0)())
    good = probe(str(file), "60")
    assert good.returncode == 0, good.stderr
    imported = {line.rpartition("|")[2].strip() for line in good.stderr.splitlines()}
    assert "encodings" in imported
    assert not [name for name in imported if name.startswith(("celery", "kelery", "redis", "site"))]


def test_a_probe_says_what_is_wrong(tmp_path: Path) -> None:
    missing = probe(str(tmp_path / "none"), "60")
    assert missing.returncode == 1
    assert "no heartbeat" in missing.stderr
    assert probe(str(tmp_path / "none")).returncode == 2
    assert probe(str(tmp_path / "none"), "soon").returncode == 2
