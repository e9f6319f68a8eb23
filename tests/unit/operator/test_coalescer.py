"""Which status goes out when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kelery.taskrun.resource import Identity
from kelery_operator.taskrun.actions import Urgency
from kelery_operator.taskrun.status.coalescer import Coalescer
from kelery_operator.taskrun.status_write import Write
from tests.unit.operator.observations import body, met, put


def write(rev: int, urgency: Urgency = Urgency.PHASE, *, uid: str = "u", version: int = 0) -> Write:
    who = Identity(uid=uid, namespace="ns", name=uid)
    return Write(who=who, status={"rev": rev}, rev=rev, urgency=urgency, version=version)


def fresh() -> Coalescer:
    """One that has sent nothing yet."""
    return Coalescer(met("u", "v", "ended", *(f"u{number}" for number in range(10))))


def sent(coalescer: Coalescer, now: float) -> list[int]:
    return [item.rev for item in coalescer.take_due(now=now, most=100)]


def test_a_short_run_costs_one_write() -> None:
    coalescer = fresh()
    coalescer.offer(write(1, Urgency.PASSING), now=0.0)
    coalescer.offer(write(2), now=0.01)
    assert sent(coalescer, 0.02) == []
    coalescer.offer(write(3, Urgency.FINAL), now=0.03)
    assert sent(coalescer, 0.03) == [3]
    coalescer.written(write(3, Urgency.FINAL), now=0.04)
    assert sent(coalescer, 10.0) == []
    assert coalescer.unsent() == 0


def test_admitted_waits_longer_than_running_so_a_run_that_never_waits_costs_two() -> None:
    coalescer = fresh()
    coalescer.offer(write(1, Urgency.PASSING), now=0.0)
    assert sent(coalescer, 0.1) == []
    coalescer.offer(write(2), now=0.1)
    assert sent(coalescer, 0.14) == []
    assert sent(coalescer, 0.151) == [2]


def test_a_run_that_no_worker_takes_is_shown_as_admitted() -> None:
    coalescer = fresh()
    coalescer.offer(write(1, Urgency.PASSING), now=0.0)
    assert sent(coalescer, 0.26) == [1]


def test_the_wait_counts_from_the_first_news() -> None:
    coalescer = fresh()
    coalescer.offer(write(1), now=0.06, since=0.0)
    assert sent(coalescer, 0.06) == [1]
    coalescer.offer(write(2, uid="v"), now=1.0, since=0.97)
    assert sent(coalescer, 1.01) == []
    assert sent(coalescer, 1.021) == [2]


def test_newer_phases_do_not_delay_a_waiting_write_indefinitely() -> None:
    coalescer = fresh()
    for step in range(20):
        coalescer.offer(write(step), now=step * 0.01)
        if sent(coalescer, step * 0.01):
            break
    assert step == 5


def test_one_write_of_a_run_is_on_its_way_at_a_time_and_the_latest_wins() -> None:
    coalescer = fresh()
    coalescer.offer(write(1), now=0.0)
    assert sent(coalescer, 0.1) == [1]
    coalescer.offer(write(2), now=0.2)
    coalescer.offer(write(3, Urgency.FINAL), now=0.3)
    assert sent(coalescer, 5.0) == []
    coalescer.written(write(1), now=5.0)
    assert sent(coalescer, 5.0) == [3]


def test_a_lower_rev_is_never_sent_after_a_higher() -> None:
    coalescer = fresh()
    coalescer.offer(write(5), now=0.0)
    coalescer.offer(write(4), now=0.0)
    assert sent(coalescer, 1.0) == [5]
    coalescer.offer(write(4), now=1.0)
    coalescer.written(write(5), now=1.1)
    coalescer.offer(write(3), now=1.2)
    assert sent(coalescer, 9.0) == []


def test_progress_is_two_seconds_apart_and_a_final_does_not_wait_for_it() -> None:
    coalescer = fresh()
    coalescer.offer(write(1), now=0.0)
    assert sent(coalescer, 0.1) == [1]
    coalescer.written(write(1), now=0.1)
    for step in range(2, 30):
        coalescer.offer(write(step, Urgency.MINOR), now=0.1 + step * 0.05)
    assert sent(coalescer, 2.0) == []
    assert sent(coalescer, 2.1) == [29]
    coalescer.written(write(29, Urgency.MINOR), now=2.2)
    coalescer.offer(write(30, Urgency.MINOR), now=2.3)
    coalescer.offer(write(31, Urgency.FINAL), now=2.4)
    assert sent(coalescer, 2.4) == [31]


def test_a_phase_does_not_wait_for_the_turn_of_progress() -> None:
    coalescer = fresh()
    coalescer.offer(write(1), now=0.0)
    assert sent(coalescer, 0.05) == [1]
    coalescer.written(write(1), now=0.06)
    coalescer.offer(write(2, Urgency.MINOR), now=0.1)
    coalescer.offer(write(3), now=0.5)
    assert sent(coalescer, 0.56) == [3]


def test_a_failed_write_is_retried_with_back_off_or_replaced_by_a_newer_one() -> None:
    coalescer = fresh()
    coalescer.offer(write(1, Urgency.FINAL), now=0.0)
    assert sent(coalescer, 0.0) == [1]
    pauses = []
    now = 0.0
    for _ in range(5):
        pauses.append(coalescer.failed(write(1, Urgency.FINAL), now=now, jitter=1.0))
        assert sent(coalescer, now + pauses[-1] - 0.01) == []
        now += pauses[-1]
        assert sent(coalescer, now) == [1]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6]
    coalescer.offer(write(2, Urgency.FINAL), now=now)
    coalescer.failed(write(1, Urgency.FINAL), now=now, jitter=1.0, pause=7.0)
    assert sent(coalescer, now + 6.9) == []
    assert sent(coalescer, now + 7.0) == [2]


def test_after_the_final_write_nothing_is_sent_until_somebody_undoes_it() -> None:
    states = met("u")
    coalescer = Coalescer(states)
    coalescer.offer(write(3, Urgency.FINAL), now=0.0)
    assert sent(coalescer, 0.0) == [3]
    assert coalescer.final_on_its_way("u")
    coalescer.written(write(3, Urgency.FINAL), now=0.1, version=200)
    assert (states.end_version("u"), coalescer.final_on_its_way("u")) == (200, False)
    coalescer.offer(write(4, Urgency.FINAL), now=0.2)
    assert sent(coalescer, 9.0) == []
    put(states, body(uid="u", version="201"))
    coalescer.offer(write(4, Urgency.FINAL), now=9.0)
    assert sent(coalescer, 9.0) == [4]


def test_what_is_on_its_way_already_is_not_sent_again() -> None:
    coalescer = fresh()
    coalescer.offer(write(1), now=0.0)
    assert sent(coalescer, 1.0) == [1]
    coalescer.offer(write(1), now=1.0)
    coalescer.written(write(1), now=1.1)
    assert sent(coalescer, 9.0) == []


def test_a_status_that_the_server_normalizes_is_not_written_indefinitely() -> None:
    coalescer = fresh()
    coalescer.offer(write(1, version=10), now=0.0)
    assert sent(coalescer, 1.0) == [1]
    coalescer.written(write(1, version=10), now=1.0, version=11)
    coalescer.offer(write(1, version=11), now=2.0)
    assert sent(coalescer, 9.0) == []
    # The object has changed since.
    coalescer.offer(write(1, version=12), now=9.0)
    assert sent(coalescer, 19.0) == [1]


def test_a_run_that_is_gone_is_dropped_with_what_waits() -> None:
    states = met("u")
    coalescer = Coalescer(states)
    coalescer.offer(write(1), now=0.0)
    states.forget_writes("u")
    assert sent(coalescer, 1.0) == []
    assert coalescer.unsent() == 0


def test_a_forgotten_run_leaves_nothing_to_send_no_matter_how_its_last_write_ends() -> None:
    states = met("u")
    coalescer = Coalescer(states)
    coalescer.offer(write(1), now=0.0)
    assert sent(coalescer, 0.1) == [1]
    coalescer.offer(write(2), now=0.2)
    states.forget("u")
    coalescer.failed(write(1), now=0.3, jitter=1.0)
    coalescer.offer(write(3), now=0.4)
    assert (sent(coalescer, 99.0), coalescer.unsent(), states.uids()) == ([], 0, [])


def test_runs_do_not_hold_each_other_up_and_the_number_at_once_is_bounded() -> None:
    coalescer = fresh()
    for number in range(10):
        coalescer.offer(write(1, uid=f"u{number}"), now=0.0)
    assert len(coalescer.take_due(now=1.0, most=4)) == 4
    assert len(coalescer.take_due(now=1.0, most=100)) == 6


def test_an_end_overtakes_a_backlog() -> None:
    coalescer = fresh()
    for number in range(10):
        coalescer.offer(write(1, uid=f"u{number}"), now=0.0)
    coalescer.offer(write(3, Urgency.FINAL, uid="ended"), now=1.0)
    assert [item.who.uid for item in coalescer.take_due(now=1.0, most=1)] == ["ended"]


def test_before_the_end_everything_is_due() -> None:
    coalescer = fresh()
    coalescer.offer(write(1), now=0.0)
    assert sent(coalescer, 0.1) == [1]
    coalescer.written(write(1), now=0.1)
    coalescer.offer(write(2, Urgency.MINOR), now=0.2)
    coalescer.hurry(now=0.2)
    assert sent(coalescer, 0.2) == [2]


steps = st.lists(
    st.tuples(st.sampled_from(["offer", "final", "minor", "take", "written", "failed"]), st.integers(0, 3)),
    max_size=40,
)


@given(steps)
def test_in_any_sequence_revs_rise_one_write_is_in_flight_and_the_last_status_is_sent(
    steps: list[tuple[str, int]],
) -> None:
    coalescer, now, rev, flying, done, offered_final = fresh(), 0.0, 0, None, [], False
    urgencies = {"offer": Urgency.PHASE, "final": Urgency.FINAL, "minor": Urgency.MINOR}
    for what, number in steps:
        now += number * 0.3
        if what in urgencies and not offered_final:
            rev += 1
            offered_final = what == "final"
            coalescer.offer(write(rev, urgencies[what]), now=now)
        elif what == "take":
            taken = coalescer.take_due(now=now, most=5)
            assert not (taken and flying)
            flying = taken[0] if taken else flying
        elif what == "written" and flying:
            coalescer.written(flying, now=now)
            done.append(flying.rev)
            flying = None
        elif what == "failed" and flying:
            coalescer.failed(flying, now=now, jitter=0.5)
            flying = None
    for _ in range(3):
        now += 100
        if flying is None:
            flying = next(iter(coalescer.take_due(now=now, most=5)), None)
        if flying:
            coalescer.written(flying, now=now)
            done.append(flying.rev)
            flying = None
    assert done == sorted(set(done))
    assert not rev or done[-1] == rev
    assert coalescer.unsent() == 0
