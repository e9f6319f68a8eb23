"""submit: idempotent, first come first served by priority, never more than the limit, and every policy."""

import json
import statistics
import time
from dataclasses import replace
from typing import Any

import pytest

from kelery.errors import RunConflict
from kelery.ledger import commands
from kelery.run.model import CancelMode, Policy
from kelery.run.phases import Phase, Reason
from tests.support.ledger_bench import CLUSTER, Bench, keyed


def test_a_run_without_a_key_is_admitted_and_its_message_pushed(bench: Bench) -> None:
    assert bench.submit("a", args=(1, 2)) == "Admitted/WaitingForWorker"
    (message,) = bench.messages()
    assert message["headers"]["id"] == "a"
    assert message["properties"]["delivery_tag"] == "a:1:1"


def test_the_message_goes_to_the_runs_own_queue(bench: Bench) -> None:
    bench.submit("a", queue="batch")
    assert bench.pushed("batch") == ["a:1"]
    assert bench.record("a").queue == "batch"


def test_submitting_again_changes_nothing_and_returns_the_state_of_the_run(bench: Bench) -> None:
    fence = bench.start("a")
    before = bench.record("a")
    again = bench.ledger.run(commands.submit(bench.submission("a")))
    assert (again.new, again.phase, again.reason, again.rev) == (False, Phase.RUNNING, "Started", before.rev)
    assert bench.record("a") == before
    bench.settle("a", fence)
    assert bench.submit("a") == "Succeeded/Completed"
    assert bench.pushed() == ["a:1"]


def test_a_cancel_or_ttl_set_later_is_no_other_spec(bench: Bench) -> None:
    bench.submit("a")
    assert (
        bench.submit("a", cancel=CancelMode.FORCE, ttl_seconds_after_finished=3)
        == "Admitted/WaitingForWorker"
    )


def test_the_same_uid_with_another_spec_is_a_conflict(bench: Bench) -> None:
    bench.submit("a", args=(1,))
    with pytest.raises(RunConflict, match="run a was submitted before"):
        bench.submit("a", args=(2,))
    assert bench.state("a") == "Admitted/WaitingForWorker"


@pytest.mark.parametrize(
    ("reason", "phase"),
    [
        (Reason.CANCELLED_AT_CREATE, Phase.CANCELLED),
        (Reason.SPEC_TOO_LARGE, Phase.FAILED),
        (Reason.SPEC_INVALID, Phase.FAILED),
    ],
)
def test_a_run_can_be_born_final_and_takes_no_slot(bench: Bench, reason: Reason, phase: Phase) -> None:
    error = '{"type":"SpecInvalid","message":"spec.task: is missing","traceback":""}'
    born = replace(bench.submission("a", concurrency=keyed()), born_final=reason, error_json=error)
    assert bench.ledger.run(commands.submit(born)).phase is phase
    record = bench.record("a")
    assert (record.reason, record.error_json, record.attempt, record.fence) == (reason.value, error, 1, 0)
    assert bench.pushed() == []
    assert bench.submit("b", concurrency=keyed()) == "Admitted/WaitingForWorker"
    assert bench.ledger.run(commands.unacknowledged_uids(CLUSTER)) == {"a"}
    assert bench.ledger.run(commands.live_uids(CLUSTER)) == {"b"}


def test_one_at_a_time_and_the_next_is_admitted_in_the_call_that_ends_the_last(bench: Bench) -> None:
    fence = bench.start("a", concurrency=keyed())
    assert bench.submit("b", concurrency=keyed()) == "Waiting/WaitingForKey"
    assert bench.submit("c", concurrency=keyed()) == "Waiting/WaitingForKey"
    assert (bench.record("b").position, bench.record("c").position) == (1, 2)
    assert bench.record("b").held_by == ("run-a",)
    assert bench.pushed() == ["a:1"]
    bench.settle("a", fence)
    assert bench.state("b") == "Admitted/WaitingForWorker"
    assert bench.pushed() == ["a:1", "b:1"]
    assert bench.record("c").position == 1


def test_unrelated_keys_and_other_namespaces_do_not_wait_for_each_other(bench: Bench) -> None:
    bench.start("a", concurrency=keyed("one"))
    assert bench.submit("b", concurrency=keyed("two")) == "Admitted/WaitingForWorker"
    elsewhere = replace(bench.submission("c", concurrency=keyed("one")), namespace="other")
    assert bench.ledger.run(commands.submit(elsewhere)).phase is Phase.ADMITTED


def test_n_at_a_time(bench: Bench) -> None:
    uids = [f"r{number}" for number in range(5)]
    for uid in uids:
        bench.submit(uid, concurrency=keyed(limit=3))
    assert bench.admitted(uids) == ["r0", "r1", "r2"]
    bench.settle("r1", bench.claim("r1"))
    assert bench.admitted(uids) == ["r0", "r2", "r3"]


def test_the_smallest_limit_of_holders_and_newcomer_applies(bench: Bench) -> None:
    bench.submit("small", concurrency=keyed(limit=1))
    assert bench.submit("large", concurrency=keyed(limit=5)) == "Waiting/WaitingForKey"
    bench.settle("small", bench.claim("small"))
    assert bench.state("large") == "Admitted/WaitingForWorker"
    assert bench.submit("small again", concurrency=keyed(limit=1)) == "Waiting/WaitingForKey"
    # Strictly in order: a later run that would fit does not overtake.
    assert bench.submit("large again", concurrency=keyed(limit=5)) == "Waiting/WaitingForKey"


def test_waiters_are_admitted_by_priority_then_by_age(bench: Bench) -> None:
    fence = bench.start("first", concurrency=keyed())
    for uid, priority in (("low", -1000), ("a", 0), ("b", 0), ("high", 1000), ("c", 0), ("high too", 1000)):
        bench.submit(uid, concurrency=keyed(), priority=priority)
    order, uid = [], "first"
    for _ in range(6):
        bench.settle(uid, fence)
        uid = bench.pushed()[-1].removesuffix(":1")
        order.append(uid)
        fence = bench.claim(uid)
    assert order == ["high", "high too", "a", "b", "c", "low"]


def test_reject_fails_at_once_if_there_is_no_room_or_others_wait(bench: Bench) -> None:
    reject = keyed(policy=Policy.REJECT)
    assert bench.submit("a", concurrency=reject) == "Admitted/WaitingForWorker"
    assert bench.submit("b", concurrency=reject) == "Failed/ConcurrencyRejected"
    bench.submit("small", concurrency=keyed("wide", limit=1))
    bench.submit("waits", concurrency=keyed("wide", limit=1))
    rejected = keyed("wide", limit=9, policy=Policy.REJECT)
    assert bench.submit("c", concurrency=rejected) == "Failed/ConcurrencyRejected"
    assert bench.pushed() == ["a:1", "small:1"]


def test_queue_latest_supersedes_those_who_wait_and_no_holder(bench: Bench) -> None:
    latest = keyed(policy=Policy.QUEUE_LATEST)
    fence = bench.start("holder", concurrency=latest)
    bench.submit("old", concurrency=latest)
    bench.submit("older", concurrency=keyed())
    assert bench.submit("new", concurrency=latest) == "Waiting/WaitingForKey"
    assert bench.state("old") == bench.state("older") == "Cancelled/Superseded"
    assert bench.state("holder") == "Running/Started"
    bench.settle("holder", fence)
    assert bench.state("new") == "Admitted/WaitingForWorker"


def test_replace_waits_until_the_running_holder_has_really_ended(bench: Bench) -> None:
    replacing = keyed(policy=Policy.REPLACE)
    fence = bench.start("old", concurrency=replacing)
    bench.submit("waiter", concurrency=keyed())
    assert bench.submit("new", concurrency=replacing) == "Waiting/WaitingForKey"
    assert bench.state("old") == "Cancelling/Superseded"
    assert bench.state("waiter") == "Cancelled/Superseded"
    assert bench.pushed() == ["old:1"]
    bench.settle("old", fence)
    assert bench.state("new") == "Admitted/WaitingForWorker"


def test_replace_takes_the_place_of_a_holder_that_no_worker_has_claimed(bench: Bench) -> None:
    bench.submit("old", concurrency=keyed())
    assert bench.submit("new", concurrency=keyed(policy=Policy.REPLACE)) == "Admitted/WaitingForWorker"
    assert bench.state("old") == "Cancelled/Superseded"


def test_replace_cancels_the_oldest_holders_and_no_more_than_needed(bench: Bench) -> None:
    for uid in ("a", "b", "c"):
        bench.start(uid, concurrency=keyed(limit=3))
    bench.submit("new", concurrency=keyed(limit=2, policy=Policy.REPLACE))
    assert [bench.state(uid).split("/")[0] for uid in ("a", "b", "c")] == [
        "Cancelling",
        "Cancelling",
        "Running",
    ]
    # Runs that are being cancelled count as ended: one more new run cancels only one more.
    bench.submit("newer", concurrency=keyed(limit=2, policy=Policy.REPLACE))
    assert bench.state("new") == "Cancelled/Superseded"
    assert bench.state("c") == "Running/Started"


def test_ten_thousand_waiters_cost_no_more_per_step_than_ten(bench: Bench) -> None:
    few = _seconds_per_handover(bench, key="few", waiters=10)
    many = _seconds_per_handover(bench, key="many", waiters=10_000)
    assert many < 5 * few + 0.0005, f"{many * 1e6:.0f} us with 10,000 waiters, {few * 1e6:.0f} us with ten"


def test_the_spec_and_its_arguments_reach_the_record_and_the_message_unchanged(bench: Bench) -> None:
    args: tuple[Any, ...] = (2**60 + 1, [], {}, None, 0.1, "Zoë \U0001f600")
    bench.submit("a", args=args)
    assert json.loads(bench.record("a").spec_json)["args"] == list(args)


def _seconds_per_handover(bench: Bench, *, key: str, waiters: int) -> float:
    """The median of one run's end, with the admission of the next, while `waiters` wait."""
    bench.submit_all([f"{key}{number}" for number in range(waiters + 1)], concurrency=keyed(key))
    taken = []
    for number in range(min(waiters, 60)):
        uid = f"{key}{number}"
        fence = bench.claim(uid)
        begin = time.perf_counter()
        bench.settle(uid, fence)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


@pytest.mark.parametrize(
    "queue", ["kelery:meta", "kelery:hold:team/k", "kelery:history:b", "a-set", "unacked", "_kombu.binding.x"]
)
def test_what_is_no_queue_is_not_written_to(bench: Bench, queue: str) -> None:
    bench.ledger.client.sadd("a-set", "x")
    bench.submit("b", concurrency=keyed())
    before = (bench.record("b"), bench.ledger.run(commands.history("b")))
    assert bench.submit("a", queue=queue, concurrency=keyed("other")) == "Failed/SpecInvalid"
    assert "spec.queue" in json.loads(bench.record("a").error_json)["message"]
    assert (bench.record("b"), bench.ledger.run(commands.history("b"))) == before
    assert bench.submit("c", concurrency=keyed("other")) == "Admitted/WaitingForWorker"


def test_a_queue_that_became_something_else_keeps_nobody_from_ending(bench: Bench) -> None:
    fence = bench.start("a", concurrency=keyed())
    bench.submit("b", queue="batch", concurrency=keyed())
    bench.ledger.client.set("batch", "no list")
    assert bench.settle("a", fence).verdict == "ok"
    assert bench.state("b") == "Admitted/WaitingForWorker"
    bench.make_due("redispatch", "b")
    bench.tick()
    assert bench.pushed() == ["a:1"]
    bench.ledger.client.delete("batch")
    bench.make_due("redispatch", "b")
    bench.tick()
    assert bench.pushed("batch") == ["b:1"]
