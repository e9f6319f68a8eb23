"""claim: one worker gets an attempt, once; a lost answer may be asked for again; fences only grow."""

import pytest

from kelery.ledger import commands
from kelery.ledger.types import Claim, ClaimRefused, Outcome
from kelery.run.model import CancelMode, Retry
from kelery.run.phases import Reason
from tests.support.ledger_bench import WORKER, Bench, failed, keyed


def test_a_claim_contains_what_the_worker_needs(bench: Bench) -> None:
    bench.submit("a", timeout_seconds=9, cancel_grace_period_seconds=7, concurrency=keyed())
    granted = bench.try_claim("a")
    assert granted == Claim(
        uid="a", fence=1, attempt=1, timeout_seconds=9, grace_seconds=7, keyed=True, cancel=""
    )
    assert bench.state("a") == "Running/Started"
    assert bench.record("a").worker == WORKER
    bench.submit("b")
    free = bench.try_claim("b")
    assert isinstance(free, Claim)
    assert (free.timeout_seconds, free.keyed) == (None, False)


def test_the_same_worker_with_the_same_nonce_gets_the_same_answer(bench: Bench) -> None:
    bench.submit("a")
    first = bench.try_claim("a", nonce="n")
    before = bench.record("a")
    assert bench.try_claim("a", nonce="n") == first
    assert bench.record("a") == before


@pytest.mark.parametrize(("worker", "nonce"), [(WORKER, "other"), ("celery@other/boot-1", "n")])
def test_a_claim_of_another_worker_is_refused(bench: Bench, worker: str, nonce: str) -> None:
    bench.submit("a")
    bench.try_claim("a", nonce="n")
    assert bench.try_claim("a", worker=worker, nonce=nonce) == ClaimRefused(why="stale")


def test_a_late_repetition_of_an_older_attempts_claim_does_not_get_the_newer_one(bench: Bench) -> None:
    bench.submit("a", retry=Retry(max_attempts=2, backoff_seconds=0))
    first = bench.try_claim("a", nonce="n")
    assert isinstance(first, Claim)
    bench.settle("a", first.fence, failed())
    second = bench.try_claim("a", attempt=2, nonce="n")
    assert isinstance(second, Claim)
    assert second.fence > first.fence
    assert bench.try_claim("a", attempt=1, nonce="n") == ClaimRefused(why="stale")


def test_a_message_of_an_attempt_that_is_not_due_is_stale(bench: Bench) -> None:
    fence = bench.start("a", retry=Retry(max_attempts=2, backoff_seconds=60))
    bench.settle("a", fence, failed())
    assert bench.state("a") == "Admitted/RetryBackoff"
    for attempt in (1, 2, 3):
        assert bench.try_claim("a", attempt=attempt) == ClaimRefused(why="stale")


def test_a_waiting_run_cannot_be_claimed(bench: Bench) -> None:
    bench.submit("a", concurrency=keyed())
    bench.submit("b", concurrency=keyed())
    assert bench.try_claim("b") == ClaimRefused(why="stale")


def test_a_final_or_unknown_run_is_refused(bench: Bench) -> None:
    bench.settle("a", bench.start("a"))
    assert bench.try_claim("a") == ClaimRefused(why="final")
    assert bench.try_claim("nobody") == ClaimRefused(why="gone")


def test_a_repeated_claim_of_a_run_that_was_asked_to_stop_says_so(bench: Bench) -> None:
    bench.submit("a")
    bench.try_claim("a", nonce="n")
    bench.cancel("a", CancelMode.FORCE)
    again = bench.try_claim("a", nonce="n")
    assert isinstance(again, Claim)
    assert again.cancel == "force"


def test_fences_grow_over_all_runs(bench: Bench) -> None:
    fences = [bench.start(uid) for uid in ("a", "b", "c")]
    bench.ledger.run(commands.handback("b", fences[1]))
    fences.append(bench.claim("b"))
    assert fences == sorted(set(fences))


def test_a_handback_makes_the_same_attempt_claimable_by_another(bench: Bench) -> None:
    fence = bench.start("a", concurrency=keyed())
    assert bench.ledger.run(commands.handback("a", fence))
    record = bench.record("a")
    assert (record.attempt, record.worker, record.started_at) == (1, "", None)
    assert bench.pushed() == ["a:1", "a:1"]
    assert not bench.ledger.run(commands.handback("a", fence))
    assert bench.submit("b", concurrency=keyed()) == "Waiting/WaitingForKey"
    again = bench.claim("a", worker="celery@other/boot-1")
    assert bench.settle("a", fence).verdict == "fenced"
    assert bench.settle("a", again).verdict == "ok"


def test_a_handback_of_a_run_that_was_asked_to_stop_ends_it(bench: Bench) -> None:
    fence = bench.start("a", concurrency=keyed())
    bench.submit("b", concurrency=keyed())
    bench.cancel("a", reason=Reason.DELETED)
    assert bench.ledger.run(commands.handback("a", fence))
    assert bench.state("a") == "Cancelled/Deleted"
    assert bench.state("b") == "Admitted/WaitingForWorker"


def test_progress_counts_under_the_current_fence_only_and_not_beyond_its_attempt(bench: Bench) -> None:
    fence = bench.start("a", retry=Retry(max_attempts=2, backoff_seconds=0))
    assert bench.ledger.run(commands.progress("a", fence, '{"current":1}'))
    assert bench.record("a").progress_json == '{"current":1}'
    assert not bench.ledger.run(commands.progress("a", fence + 1, '{"current":2}'))
    assert not bench.ledger.run(commands.progress("nobody", fence, '{"current":2}'))
    bench.settle("a", fence, failed())
    bench.claim("a", attempt=2)
    assert bench.record("a").progress_json == ""
    assert not bench.ledger.run(commands.progress("a", fence, '{"current":3}'))


def test_a_settled_run_takes_no_progress_and_nothing_staged(bench: Bench) -> None:
    fence = bench.start("a")
    bench.settle("a", fence)
    assert not bench.ledger.run(commands.progress("a", fence, '{"current":1}'))
    assert not bench.ledger.run(commands.stage("a", fence, Outcome(kind="succeeded", result_json="1")))


def test_a_message_of_a_purged_run_does_not_start_a_later_one_with_its_uid(bench: Bench) -> None:
    bench.submit("a", args=("old",))
    (old,) = bench.messages()
    bench.cancel("a")
    bench.ledger.run(commands.acknowledge("a", retain_seconds=0))
    bench.until(lambda: bench.ledger.client.exists("kelery:run:a"), 0)
    bench.submit("a", args=("new",))
    assert [message["body"] == old["body"] for message in bench.messages()] == [True, False]
    late, due = (bench.claim_by_message(message) for message in bench.messages())
    assert late == ClaimRefused(why="stale")
    assert isinstance(due, Claim)
