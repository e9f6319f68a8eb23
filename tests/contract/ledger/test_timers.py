"""tick: timers act once, no matter which process ticks."""

import pytest

from kelery.ledger import commands
from kelery.run.model import Retry
from kelery.run.phases import Reason
from tests.support.ledger_bench import CLUSTER, Bench, failed, keyed


def test_a_waiting_run_fails_when_its_time_to_queue_is_over(bench: Bench) -> None:
    bench.start("a", concurrency=keyed())
    bench.submit("b", concurrency=keyed(wait=1))
    bench.tick()
    assert bench.state("b") == "Waiting/WaitingForKey"
    bench.until(lambda: bench.state("b"), "Failed/QueueTimeout")


def test_an_admitted_run_that_no_worker_took_fails_too_and_hands_its_slot_on(bench: Bench) -> None:
    bench.submit("a", concurrency=keyed(wait=1))
    bench.submit("b", concurrency=keyed())
    bench.until(lambda: bench.state("a"), "Failed/QueueTimeout")
    assert bench.state("b") == "Admitted/WaitingForWorker"


def test_the_first_claim_ends_the_time_to_queue(bench: Bench) -> None:
    fence = bench.start("a", concurrency=keyed(wait=1), retry=Retry(max_attempts=2, backoff_seconds=0))
    assert bench.ledger.client.zscore("kelery:timers", "queue|a") is None
    bench.settle("a", fence, failed())
    assert bench.ledger.client.zscore("kelery:timers", "queue|a") is None
    assert bench.state("a") == "Admitted/WaitingForWorker"


def test_a_lost_message_is_pushed_again(bench: Bench) -> None:
    bench.submit("a")
    bench.empty()
    bench.make_due("redispatch", "a")
    bench.tick()
    assert bench.pushed() == ["a:1"]
    bench.claim("a")


def test_a_message_that_may_just_be_waiting_its_turn_is_not_doubled(bench: Bench) -> None:
    bench.submit("a")
    bench.make_due("redispatch", "a")
    bench.tick()
    assert bench.pushed() == ["a:1"]
    # It checks again later.
    bench.empty()
    bench.make_due("redispatch", "a")
    bench.tick()
    assert bench.pushed() == ["a:1"]


def test_in_a_queue_that_never_empties_it_is_pushed_again_after_long(bench: Bench) -> None:
    bench.submit("other")
    bench.submit("a")
    bench.ledger.client.lpop("celery")
    assert bench.pushed() == ["other:1"]
    pushed = int(bench.ledger.client.hget("kelery:run:a", "pushed_at"))
    bench.ledger.client.hset("kelery:run:a", "pushed_at", pushed - 301_000_000)
    bench.make_due("redispatch", "a")
    bench.tick()
    assert bench.pushed() == ["other:1", "a:1"]


def test_a_doubled_message_starts_nothing_twice(bench: Bench) -> None:
    bench.submit("a")
    for _ in range(3):
        bench.empty()
        bench.make_due("redispatch", "a")
        bench.tick()
    bench.claim("a")
    assert bench.ledger.client.zscore("kelery:timers", "redispatch|a") is None


def test_the_record_goes_after_its_time_and_not_before(bench: Bench) -> None:
    bench.settle("a", bench.start("a"), failed())
    bench.ledger.run(commands.acknowledge("a", retain_seconds=60))
    bench.tick()
    assert bench.state("a") == "Failed/TaskError"
    bench.ledger.run(commands.acknowledge("a", retain_seconds=0.2))
    bench.until(lambda: list(bench.ledger.client.scan_iter("kelery:*:a")), [])
    assert bench.ledger.run(commands.view(["a"], inline_bytes=0)) == [None]


@pytest.mark.parametrize("kind", ["queue", "retry", "redispatch", "purge"])
def test_a_timer_that_is_left_over_does_nothing(bench: Bench, kind: str) -> None:
    bench.start("a")
    bench.ledger.client.zadd("kelery:timers", {f"{kind}|a": 0, f"{kind}|nobody": 0})
    before = bench.record("a")
    assert bench.tick() == 2
    assert bench.record("a") == before
    assert bench.tick() == 0


def test_many_due_timers_are_worked_off_in_batches(bench: Bench) -> None:
    uids = [f"r{number}" for number in range(450)]
    bench.submit_all(uids, concurrency=keyed(wait=3600, limit=1))
    bench.ledger.client.zadd("kelery:timers", {f"queue|{uid}": 0 for uid in uids})
    done = [bench.tick() for _ in range(4)]
    assert done == [200, 200, 50, 0]
    records = bench.ledger.run(commands.view(uids, inline_bytes=0))
    assert {record.reason for record in records if record} == {Reason.QUEUE_TIMEOUT.value}


def test_task_runs_to_delete_are_found_when_they_are_due(bench: Bench) -> None:
    for name, due in (("early", 100.0), ("late", 300.5)):
        bench.ledger.run(
            commands.expire_later(CLUSTER, uid=f"u-{name}", namespace="team", name=name, due=due)
        )
    assert bench.ledger.run(commands.expired(CLUSTER, now=99)) == []
    assert bench.ledger.run(commands.expired(CLUSTER, now=100)) == [("u-early", "team", "early")]
    assert len(bench.ledger.run(commands.expired(CLUSTER, now=400))) == 2
    assert bench.ledger.run(commands.expired("other cluster", now=400)) == []
    bench.ledger.run(commands.forget_expired(CLUSTER, uid="u-early", namespace="team", name="early"))
    assert bench.ledger.run(commands.expired(CLUSTER, now=400)) == [("u-late", "team", "late")]
