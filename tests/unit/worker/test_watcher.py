"""What the watcher does when it is told something: its thread does not run here."""

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


class Told:
    """A watcher, and how often it said that a run has ended."""

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
def told() -> Told:
    return Told()


def added(told: Told, **more: Any) -> LiveRun:
    claim = Claim(uid="u", fence=1, attempt=1, timeout_seconds=None, grace_seconds=30, keyed=True, cancel="")
    run = LiveRun(claim=claim, request=SimpleNamespace(), claimed_at=100, renewed_at=100, **more)
    told.table.add(run)
    return run


def test_a_run_that_nobody_stopped_has_ended_when_its_child_gives_it_back(told: Told) -> None:
    run = added(told)
    error = ValueError()
    told.watcher.returned(run, error)
    assert (run.ended, run.error, told.ends) == (Step.SETTLE, error, 1)
    assert not told.is_woken()


@pytest.mark.parametrize("more", [{"stop": Stop.CANCEL}, {"stop": Stop.FENCED}, {"dead": True}])
def test_of_a_run_that_was_stopped_something_may_be_left(told: Told, more: dict[str, Any]) -> None:
    run = added(told, **more)
    told.watcher.returned(run, None)
    assert (run.returned, run.ended, told.ends) == (True, None, 0)
    assert told.is_woken()


def test_a_run_that_is_settled_does_not_end_again(told: Told) -> None:
    run = added(told)
    told.table.remove(run)
    told.watcher.returned(run, None)
    assert (run.ended, told.ends) == (None, 0)


def test_it_is_woken_for_a_taken_run_only_if_it_would_sleep_for_long(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    # While it looks, it may have passed the run already.
    told.watcher.look_soon()
    assert told.is_woken()
    told.watcher._looks_at = now + LOOK_SECONDS
    told.watcher.look_soon()
    assert told.is_woken()
    told.watcher._looks_at = now + SOON_SECONDS
    told.watcher.look_soon()
    assert not told.is_woken()


def test_it_looks_again_soon_while_runs_come(told: Told) -> None:
    assert told.watcher._round() == LOOK_SECONDS
    told.watcher.look_soon()
    assert told.watcher._round() == SOON_SECONDS
    assert told.watcher._round() == LOOK_SECONDS
