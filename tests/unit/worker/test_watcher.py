"""How the watcher reacts to reports; its thread does not run here."""

from __future__ import annotations

import select
import time
from types import SimpleNamespace
from typing import Any

import pytest

from kelery.ledger.types import Claim
from kelery.settings import Lease
from kelery_worker.runs.live_run import LiveRun, Step, Stop
from kelery_worker.runs.run_table import RunTable
from kelery_worker.runs.watcher import LOOK_SECONDS, SOON_SECONDS, Watcher


class Watched:
    """A watcher, and how often it reported the end of a run."""

    def __init__(self) -> None:
        self.table = RunTable()
        self.ends = 0
        self.watcher: Any = Watcher(
            self.table, pool=None, lease=Lease(seconds=15), worker_nonce="n", on_ended=self._count
        )

    def _count(self) -> None:
        self.ends += 1

    def is_woken(self) -> bool:
        poll = select.poll()
        poll.register(self.watcher._wakeup.fileno(), select.POLLIN)
        woken = bool(poll.poll(0))
        self.watcher._wakeup.clear()
        return woken


@pytest.fixture
def watched() -> Watched:
    return Watched()


def added(watched: Watched, **more: Any) -> LiveRun:
    claim = Claim(uid="u", fence=1, attempt=1, timeout_seconds=None, grace_seconds=30, keyed=True, cancel="")
    run = LiveRun(claim=claim, request=SimpleNamespace(), claimed_at=100, renewed_at=100, **more)
    watched.table.add(run)
    return run


def test_a_run_that_nobody_stopped_has_ended_when_its_child_gives_it_back(watched: Watched) -> None:
    run = added(watched)
    error = ValueError()
    watched.watcher.returned(run, error)
    assert (run.ended, run.error, watched.ends) == (Step.SETTLE, error, 1)
    assert not watched.is_woken()


@pytest.mark.parametrize("more", [{"stop": Stop.CANCEL}, {"stop": Stop.FENCED}, {"dead": True}])
def test_of_a_run_that_was_stopped_something_may_be_left(watched: Watched, more: dict[str, Any]) -> None:
    run = added(watched, **more)
    watched.watcher.returned(run, None)
    assert (run.returned, run.ended, watched.ends) == (True, None, 0)
    assert watched.is_woken()


def test_a_run_that_is_settled_does_not_end_again(watched: Watched) -> None:
    run = added(watched)
    watched.table.remove(run)
    watched.watcher.returned(run, None)
    assert (run.ended, watched.ends) == (None, 0)


def test_it_is_woken_for_a_taken_run_only_if_it_would_sleep_for_long(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    # During a look, it may already have passed the run.
    watched.watcher.look_soon()
    assert watched.is_woken()
    watched.watcher._looks_at = now + LOOK_SECONDS
    watched.watcher.look_soon()
    assert watched.is_woken()
    watched.watcher._looks_at = now + SOON_SECONDS
    watched.watcher.look_soon()
    assert not watched.is_woken()


def test_it_looks_again_soon_while_runs_come(watched: Watched) -> None:
    assert watched.watcher._round() == LOOK_SECONDS
    watched.watcher.look_soon()
    assert watched.watcher._round() == SOON_SECONDS
    assert watched.watcher._round() == LOOK_SECONDS
