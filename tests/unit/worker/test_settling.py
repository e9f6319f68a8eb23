"""How the keeper settles ended runs, without threads, processes or Redis."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kelery.errors import LedgerUnavailable
from kelery.ledger.types import Claim, StartRecord
from kelery_worker.lease.settling import Settling
from kelery_worker.runs.live_run import LiveRun, Step, Stop
from kelery_worker.runs.run_table import RunTable


class Ledger:
    """Returns or raises the prepared answer to each call, and records the call's name and uid."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {"settle": None, "handback": True, "HMGET": None}
        self.calls: list[tuple[str, str]] = []

    def run(self, call: Any) -> Any:
        command, name, *words = call.words("kelery")
        asked, uid = (name.rpartition("_")[2], words[3]) if command == "FCALL" else (command, name)
        self.calls.append((asked, uid.rpartition(":")[2]))
        answer = self.answers[asked]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Scene:
    """A run table, a ledger with prepared answers, and the settling between them."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.table = RunTable()
        any_ledger: Any = self.ledger
        self.settling = Settling(any_ledger, table=self.table)

    def add(self, uid: str, **more: Any) -> LiveRun:
        claim = Claim(
            uid=uid, fence=1, attempt=1, timeout_seconds=None, grace_seconds=30, keyed=True, cancel=""
        )
        run = LiveRun(claim=claim, request=SimpleNamespace(), claimed_at=100, renewed_at=100, **more)
        self.table.add(run)
        return run

    def left(self) -> list[str]:
        return [run.claim.uid for run in self.table.all()]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    clock = SimpleNamespace(monotonic=lambda: 100.0)
    monkeypatch.setattr("kelery_worker.lease.settling.time", clock)
    return Scene()


def test_what_has_ended_is_settled_and_the_rest_left_alone(scene: Scene) -> None:
    scene.add("ended", ended=Step.SETTLE, returned=True)
    scene.add("untaken", ended=Step.HAND_BACK)
    scene.add("running")
    scene.settling.settle_ended(100)
    assert scene.ledger.calls == [("settle", "ended"), ("handback", "untaken")]
    assert scene.left() == ["running"]


def test_a_ledger_that_is_away_is_asked_once_and_again_after_a_pause(scene: Scene) -> None:
    scene.add("first", ended=Step.SETTLE, returned=True)
    scene.add("second", ended=Step.SETTLE, returned=True)
    scene.ledger.answers["settle"] = LedgerUnavailable("away")
    scene.settling.settle_ended(100)
    scene.settling.settle_ended(100.4)
    assert scene.ledger.calls == [("settle", "first")]
    scene.ledger.answers["settle"] = None
    scene.settling.settle_ended(100.5)
    assert scene.left() == []


def test_a_run_that_cannot_be_settled_does_not_keep_the_others_from_it(scene: Scene) -> None:
    scene.add("odd", ended=Step.SETTLE, returned=True)
    scene.add("untaken", ended=Step.HAND_BACK)
    scene.ledger.answers["settle"] = ValueError()
    scene.settling.settle_ended(100)
    assert scene.left() == ["odd"]


@pytest.mark.parametrize("step", [Step.SETTLE, Step.HAND_BACK])
def test_of_a_run_that_is_no_longer_ours_nothing_is_said(scene: Scene, step: Step) -> None:
    scene.add("fenced", ended=step, stop=Stop.FENCED)
    scene.settling.settle_ended(100)
    assert (scene.ledger.calls, scene.left()) == ([], [])


@pytest.mark.parametrize("is_staged", [False, True])
def test_a_run_that_a_child_has_begun_is_taken_up_and_not_handed_back(scene: Scene, is_staged: bool) -> None:
    run = scene.add("begun", ended=Step.HAND_BACK, undispatched=True)
    # No process has this pid.
    scene.ledger.answers |= {"handback": False, "HMGET": StartRecord(pid=2**22 + 1, is_staged=is_staged)}
    scene.settling.settle_ended(100)
    assert scene.left() == ["begun"]
    assert (run.adopted, run.ended, run.undispatched, run.pid) == (True, None, False, 2**22 + 1)
    assert run.returned == is_staged


def test_a_run_that_was_taken_up_has_ended_once_its_outcome_is_staged(scene: Scene) -> None:
    run = scene.add("begun", adopted=True)
    scene.add("ours")
    scene.ledger.answers["HMGET"] = StartRecord(pid=2**22 + 1, is_staged=False)
    scene.settling.look_after_adopted()
    assert not run.returned
    scene.ledger.answers["HMGET"] = StartRecord(pid=2**22 + 1, is_staged=True)
    scene.settling.look_after_adopted()
    assert run.returned
    assert {uid for _, uid in scene.ledger.calls} == {"begun"}
