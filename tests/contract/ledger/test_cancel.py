"""cancel in each phase: at once while no worker has the run, else through its worker, never after its end."""

import redis

from kelery.ledger import commands
from kelery.ledger.types import ClaimRefused
from kelery.run.model import CancelMode, Retry
from kelery.run.phases import Phase, Reason
from tests.support.ledger_bench import WORKER, Bench, failed, keyed


def test_a_waiting_run_is_cancelled_at_once_and_never_starts(bench: Bench) -> None:
    fence = bench.start("a", concurrency=keyed())
    for uid in ("b", "c"):
        bench.submit(uid, concurrency=keyed())
    assert bench.cancel("b")
    assert bench.state("b") == "Cancelled/CancelledByUser"
    bench.settle("a", fence)
    assert bench.pushed() == ["a:1", "c:1"]


def test_the_head_that_is_cancelled_lets_the_next_in(bench: Bench) -> None:
    bench.submit("a", concurrency=keyed(limit=3))
    bench.submit("narrow", concurrency=keyed(limit=1))
    assert bench.submit("wide", concurrency=keyed(limit=3)) == "Waiting/WaitingForKey"
    bench.cancel("narrow")
    assert bench.state("wide") == "Admitted/WaitingForWorker"


def test_an_admitted_run_is_cancelled_at_once_and_its_message_finds_nothing(bench: Bench) -> None:
    bench.submit("a", concurrency=keyed())
    bench.submit("b", concurrency=keyed())
    assert bench.cancel("a")
    assert bench.state("a") == "Cancelled/CancelledByUser"
    assert bench.try_claim("a") == ClaimRefused(why="final")
    assert bench.state("b") == "Admitted/WaitingForWorker"


def test_a_run_that_backs_off_is_cancelled_at_once_and_does_not_come_back(bench: Bench) -> None:
    fence = bench.start("a", concurrency=keyed(), retry=Retry(max_attempts=2, backoff_seconds=60))
    bench.submit("b", concurrency=keyed())
    bench.settle("a", fence, failed())
    assert bench.cancel("a")
    assert bench.state("a") == "Cancelled/CancelledByUser"
    assert bench.state("b") == "Admitted/WaitingForWorker"
    assert bench.ledger.client.zscore("kelery:timers", "retry|a") is None


def test_a_running_run_keeps_its_slot_until_its_worker_has_ended_it(bench: Bench) -> None:
    fence = bench.start("a", concurrency=keyed())
    bench.submit("b", concurrency=keyed())
    assert bench.cancel("a")
    assert bench.state("a") == "Cancelling/CancelledByUser"
    assert bench.state("b") == "Waiting/WaitingForKey"
    assert bench.ledger.run(commands.renew(WORKER, [("a", fence)])).statuses == {("a", fence): "graceful"}
    bench.settle("a", fence, failed())
    assert bench.state("a") == "Cancelled/CancelledByUser"
    assert bench.state("b") == "Admitted/WaitingForWorker"


def test_force_follows_graceful_and_nothing_follows_force(bench: Bench) -> None:
    fence = bench.start("a")
    assert bench.cancel("a", CancelMode.GRACEFUL)
    assert not bench.cancel("a", CancelMode.GRACEFUL)
    assert bench.cancel("a", CancelMode.FORCE)
    rev = bench.record("a").rev
    assert not bench.cancel("a", CancelMode.FORCE)
    assert not bench.cancel("a", CancelMode.GRACEFUL)
    assert bench.record("a").rev == rev
    assert bench.ledger.run(commands.renew(WORKER, [("a", fence)])).statuses == {("a", fence): "force"}


def test_the_first_reason_stays(bench: Bench) -> None:
    fence = bench.start("a")
    bench.cancel("a", reason=Reason.SUPERSEDED)
    bench.cancel("a", CancelMode.FORCE, Reason.DELETED)
    assert bench.state("a") == "Cancelling/Superseded"
    bench.settle("a", fence, failed())
    assert bench.state("a") == "Cancelled/Superseded"


def test_a_run_that_has_ended_stays_as_it_is(bench: Bench) -> None:
    bench.settle("a", bench.start("a"))
    before = bench.record("a")
    answer = bench.ledger.run(commands.cancel("a", CancelMode.FORCE, Reason.DELETED))
    assert (answer.known, answer.changed, answer.phase, answer.reason) == (
        True,
        False,
        Phase.SUCCEEDED,
        "Completed",
    )
    assert bench.record("a") == before


def test_an_unknown_run_is_reported_as_unknown(bench: Bench) -> None:
    assert not bench.ledger.run(commands.cancel("nobody", CancelMode.FORCE, Reason.DELETED)).known


def test_the_worker_is_notified_by_a_push(bench: Bench, client: redis.Redis) -> None:
    bench.start("a")
    with client.pubsub() as channel:  # type: ignore[no-untyped-call]  # redis-py's
        channel.subscribe(f"kelery:nudge:{WORKER}")
        subscribed = channel.get_message(timeout=5)
        assert subscribed is not None
        bench.cancel("a")
        pushed = channel.get_message(timeout=5)
    assert pushed is not None
    assert pushed["data"] == "a"
