"""Another attempt: the slot is kept, the pause doubles, and it starts from the right message."""

import base64
import json
from typing import Any

import pytest

from kelery.ledger import commands
from kelery.ledger.types import Outcome
from kelery.run import run_message
from kelery.run.model import Retry
from kelery.run.phases import RETRYABLE_REASONS, Phase, Reason
from tests.support.ledger_bench import Bench, failed, keyed


def celerys_retry(*args: Any, delay: float = 0) -> Outcome:
    """The plug-in's outcome for `self.retry(args=args, countdown=delay)`."""
    message = run_message.make(uid="a", task="demo.add", args=args, kwargs={}, queue="celery", retries=1)
    return Outcome(kind="retry", run_message=message, delay_seconds=delay, error_type="Retry")


@pytest.mark.parametrize("reason", RETRYABLE_REASONS)
def test_a_failed_attempt_is_followed_by_another_that_keeps_the_slot(bench: Bench, reason: Reason) -> None:
    fence = bench.start("a", concurrency=keyed(), retry=Retry(max_attempts=2, backoff_seconds=0))
    bench.submit("b", concurrency=keyed())
    settled = bench.settle("a", fence, failed(reason))
    assert (settled.phase, settled.reason) == (Phase.ADMITTED, "WaitingForWorker")
    assert bench.state("b") == "Waiting/WaitingForKey"
    assert bench.pushed() == ["a:1", "a:2"]
    second = bench.claim("a", attempt=2)
    assert second > fence
    assert bench.settle("a", second, failed(reason)).reason == reason.value
    assert bench.state("b") == "Admitted/WaitingForWorker"
    assert [(attempt.attempt, attempt.reason) for attempt in bench.record("a").attempts] == [
        (2, reason.value),
        (1, reason.value),
    ]


def test_a_reason_that_the_spec_does_not_name_is_final(bench: Bench) -> None:
    retry = Retry(max_attempts=5, backoff_seconds=0, reasons=(Reason.WORKER_LOST,))
    assert bench.settle("a", bench.start("a", retry=retry), failed()).phase is Phase.FAILED


@pytest.mark.parametrize("reason", [Reason.TASK_NOT_REGISTERED, Reason.RESULT_NOT_SERIALIZABLE])
def test_what_would_fail_again_is_final(bench: Bench, reason: Reason) -> None:
    fence = bench.start("a", retry=Retry(max_attempts=5, backoff_seconds=0))
    assert bench.settle("a", fence, failed(reason)).reason == reason.value


def test_without_a_retry_in_the_spec_there_is_one_attempt(bench: Bench) -> None:
    assert bench.settle("a", bench.start("a"), failed()).phase is Phase.FAILED


def test_the_next_attempt_is_not_claimable_before_its_pause_is_over(bench: Bench) -> None:
    fence = bench.start("a", concurrency=keyed(), retry=Retry(max_attempts=2, backoff_seconds=1))
    bench.submit("b", concurrency=keyed())
    assert bench.settle("a", fence, failed()).reason == "RetryBackoff"
    record = bench.record("a")
    assert (record.attempt, record.worker) == (2, "")
    assert record.due is not None
    bench.tick()
    assert bench.pushed() == ["a:1"]
    bench.until(lambda: bench.state("a"), "Admitted/WaitingForWorker")
    assert bench.pushed() == ["a:1", "a:2"]
    assert bench.record("a").due is None
    assert bench.state("b") == "Waiting/WaitingForKey"


def test_the_pause_doubles_up_to_its_longest(bench: Bench) -> None:
    bench.submit("a", retry=Retry(max_attempts=6, backoff_seconds=10, max_backoff_seconds=45))
    pauses = []
    for attempt in range(1, 6):
        fence = bench.claim("a", attempt=attempt)
        bench.settle("a", fence, failed())
        record = bench.record("a")
        assert record.due is not None
        finished = record.attempts[0].finished
        assert finished is not None
        pauses.append((record.due - finished) / 1_000_000)
        bench.make_due("retry", "a")
        bench.tick()
    assert pauses == [10, 20, 40, 45, 45]


def test_the_last_five_attempts_are_kept_newest_first(bench: Bench) -> None:
    bench.submit("a", retry=Retry(max_attempts=8, backoff_seconds=0))
    for attempt in range(1, 9):
        bench.settle("a", bench.claim("a", attempt=attempt), failed())
    assert [attempt.attempt for attempt in bench.record("a").attempts] == [8, 7, 6, 5, 4]
    assert bench.state("a") == "Failed/TaskError"


def test_celerys_own_retry_keeps_the_slot_and_brings_its_message(bench: Bench) -> None:
    fence = bench.start("a", args=(1,), concurrency=keyed())
    bench.submit("b", concurrency=keyed())
    assert bench.settle("a", fence, celerys_retry(2)).phase is Phase.ADMITTED
    assert (_args(bench), bench.pushed()[-1]) == ([2], "a:2")
    assert bench.state("b") == "Waiting/WaitingForKey"
    assert bench.record("a").attempts[0].reason == "Retried"


def test_a_retry_without_a_message_of_its_own_goes_on_from_the_one_it_had(bench: Bench) -> None:
    bench.settle("a", bench.start("a", args=(1,)), Outcome(kind="retry"))
    assert (_args(bench), bench.pushed()[-1]) == ([1], "a:2")
    bench.settle("a", bench.claim("a", attempt=2), celerys_retry(2))
    bench.settle("a", bench.claim("a", attempt=3), Outcome(kind="retry"))
    assert (_args(bench), bench.pushed()[-1]) == ([2], "a:4")


def test_a_message_that_was_staged_with_an_earlier_outcome_is_not_that_of_a_later_one(bench: Bench) -> None:
    fence = bench.start("a", args=(1,))
    bench.ledger.run(commands.stage("a", fence, celerys_retry(2, delay=600)))
    bench.ledger.run(commands.stage("a", fence, Outcome(kind="retry")))
    bench.settle("a", fence)
    assert (_args(bench), bench.pushed()[-1]) == ([1], "a:2")


def test_celerys_countdown_is_the_pause(bench: Bench) -> None:
    bench.settle("a", bench.start("a"), celerys_retry(2, delay=600))
    record = bench.record("a")
    assert (record.reason, record.attempt) == ("RetryBackoff", 2)
    finished = record.attempts[0].finished
    assert finished is not None
    assert record.due == finished + 600_000_000
    bench.make_due("retry", "a")
    bench.tick()
    assert (_args(bench), bench.pushed()[-1]) == ([2], "a:2")


def test_celerys_retries_do_not_use_up_the_specs(bench: Bench) -> None:
    bench.submit("a", retry=Retry(max_attempts=2, backoff_seconds=0))
    for attempt in range(1, 6):
        assert (
            bench.settle("a", bench.claim("a", attempt=attempt), celerys_retry(attempt)).phase
            is Phase.ADMITTED
        )
    assert bench.settle("a", bench.claim("a", attempt=6), failed()).phase is Phase.ADMITTED
    assert bench.settle("a", bench.claim("a", attempt=7), failed()).phase is Phase.FAILED


def test_after_an_error_of_the_task_it_starts_again_from_the_message_as_submitted(bench: Bench) -> None:
    fence = bench.start("a", args=(1,), retry=Retry(max_attempts=2, backoff_seconds=0))
    bench.settle("a", fence, celerys_retry(2))
    bench.settle("a", bench.claim("a", attempt=2), failed())
    assert (_args(bench), bench.pushed()[-1]) == ([1], "a:3")


@pytest.mark.parametrize("reason", [Reason.WORKER_LOST, Reason.TIMEOUT])
def test_after_the_loss_of_its_worker_it_goes_on_from_celerys_retry(bench: Bench, reason: Reason) -> None:
    fence = bench.start("a", args=(1,), retry=Retry(max_attempts=2, backoff_seconds=0))
    bench.settle("a", fence, celerys_retry(2))
    bench.settle("a", bench.claim("a", attempt=2), failed(reason))
    assert (_args(bench), bench.pushed()[-1]) == ([2], "a:3")


def test_a_reclaimed_run_is_attempted_again_if_its_spec_says_so(bench: Bench) -> None:
    bench.start("a", retry=Retry(max_attempts=2, backoff_seconds=0))
    bench.ledger.run(commands.reclaim("a", bench.lease("a")))
    assert bench.pushed() == ["a:1", "a:2"]


def _args(bench: Bench) -> list[Any]:
    """The arguments in the newest message."""
    args, _, _ = json.loads(base64.b64decode(bench.messages()[-1]["body"]))
    return list(args)
