"""A run's next step at a given time, without threads, processes or Redis."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kelery.ledger.types import Claim
from kelery.settings import Lease
from kelery_worker.runs.live_run import UNTAKEN_SECONDS, LiveRun, Step, Stop

LEASE = Lease(seconds=15)


def live_run(
    *, keyed: bool = True, timeout: float | None = None, grace: float = 30, taken: bool = True, **more: Any
) -> LiveRun:
    claim = Claim(
        uid="u", fence=1, attempt=1, timeout_seconds=timeout, grace_seconds=grace, keyed=keyed, cancel=""
    )
    run = LiveRun(claim=claim, request=SimpleNamespace(), claimed_at=100, renewed_at=100, **more)
    if taken:
        run.pid, run.accepted_at = 4711, 100
    return run


def step(run: LiveRun, now: float) -> Step:
    run.look(now=now, lease=LEASE)
    return run.next_step(now=now)


def test_a_healthy_run_is_left_alone() -> None:
    assert step(live_run(), 105) is Step.WAIT


def test_a_cancel_is_sigterm_then_sigkill_after_the_grace() -> None:
    run = live_run(keyed=False, grace=30)
    run.ask_to_stop(Stop.CANCEL, now=100, grace=30)
    assert step(run, 100) is Step.TERMINATE
    run.terminated = True
    assert step(run, 129) is Step.WAIT
    assert run.due(lease=LEASE) == 130
    assert step(run, 130) is Step.KILL
    run.killed_at = 130
    assert step(run, 130.5) is Step.WAIT
    assert run.due(lease=LEASE) == 131
    # A process that still exists after SIGKILL gets it again.
    assert step(run, 131) is Step.KILL


def test_force_shortens_the_grace_and_nothing_lengthens_it() -> None:
    run = live_run(keyed=False)
    run.ask_to_stop(Stop.CANCEL, now=100, grace=30)
    run.ask_to_stop(Stop.CANCEL, now=101, grace=0)
    run.ask_to_stop(Stop.CANCEL, now=102, grace=30)
    assert step(run, 102) is Step.KILL


def test_the_time_limit_counts_from_the_moment_the_child_took_it() -> None:
    run = live_run(keyed=False, timeout=10)
    run.accepted_at = 107
    assert step(run, 116.9) is Step.WAIT
    assert run.due(lease=LEASE) == 117
    assert step(run, 117) is Step.TERMINATE
    assert run.stop is Stop.TIMEOUT


def test_a_keyed_run_dies_before_its_slot_can_go_to_another() -> None:
    run = live_run()
    assert step(run, 109.9) is Step.WAIT
    assert step(run, 110) is Step.KILL
    assert run.stop is Stop.LEASE
    assert LEASE.self_fence < LEASE.stand_still


def test_a_keyed_run_in_its_grace_dies_with_its_lease_too() -> None:
    run = live_run(grace=600)
    run.ask_to_stop(Stop.CANCEL, now=101, grace=600)
    run.terminated = True
    assert run.due(lease=LEASE) == 110
    assert step(run, 110) is Step.KILL
    assert run.stop is Stop.CANCEL


def test_a_run_without_key_outlives_its_lease() -> None:
    run = live_run(keyed=False)
    assert step(run, 1_000) is Step.WAIT
    assert run.due(lease=LEASE) is None


def test_a_run_that_the_pool_does_not_take_is_handed_back() -> None:
    run = live_run(taken=False)
    assert step(run, 100 + UNTAKEN_SECONDS - 0.1) is Step.WAIT
    assert step(run, 100 + UNTAKEN_SECONDS) is Step.HAND_BACK
    assert step(live_run(taken=False, undispatched=True), 100) is Step.HAND_BACK


def test_a_run_that_is_no_longer_ours_and_was_never_taken_is_dropped() -> None:
    run = live_run(taken=False)
    run.ask_to_stop(Stop.FENCED, now=101, grace=0)
    assert step(run, 101) is Step.SETTLE


@pytest.mark.parametrize("end", ["returned", "dead"])
@given(
    stop=st.none() | st.sampled_from(Stop), now=st.floats(100, 200), killed=st.booleans(), taken=st.booleans()
)
def test_whatever_happened_a_body_that_ended_is_settled(
    end: str, stop: Stop | None, now: float, killed: bool, taken: bool
) -> None:
    run = live_run(taken=taken, killed_at=100.0 if killed else None)
    if stop is not None:
        run.ask_to_stop(stop, now=100, grace=5)
    setattr(run, end, True)
    assert step(run, now) is Step.SETTLE


@given(now=st.floats(100, 300), grace=st.floats(0, 60), keyed=st.booleans(), killed=st.booleans())
def test_the_keeper_never_sleeps_past_a_deadline(now: float, grace: float, keyed: bool, killed: bool) -> None:
    """If there is nothing to do now, `due` is None or later than now: no busy loop, no missed deadline."""
    run = live_run(keyed=keyed, timeout=50, terminated=True, killed_at=100.0 if killed else None)
    run.ask_to_stop(Stop.CANCEL, now=100, grace=0 if killed else grace)
    if step(run, now) is Step.WAIT:
        due = run.due(lease=LEASE)
        assert due is None or due > now
