"""settle and stage: one correct end, with the current fence. What the task's own process staged wins."""

import json

import pytest

from kelery.ledger import commands
from kelery.ledger.types import Outcome
from kelery.run.model import Attempt, CancelMode
from kelery.run.phases import Phase, Reason
from tests.support.ledger_bench import CLUSTER, SUCCEEDED, WORKER, Bench, failed, keyed


def test_success_keeps_the_result_and_frees_the_slot(bench: Bench) -> None:
    fence = bench.start("a", concurrency=keyed())
    bench.submit("b", concurrency=keyed())
    settled = bench.settle("a", fence)
    assert (settled.verdict, settled.phase, settled.reason) == ("ok", Phase.SUCCEEDED, "Completed")
    record = bench.record("a")
    assert (record.result_json, record.result_bytes, record.error_json) == ("3", 1, "")
    assert record.queued_at is not None
    assert (
        record.queued_at <= (record.admitted_at or 0) <= (record.started_at or 0) <= (record.finished_at or 0)
    )
    assert bench.state("b") == "Admitted/WaitingForWorker"


def test_a_result_above_the_limit_shows_its_size_and_can_be_read_whole(bench: Bench) -> None:
    large = json.dumps("x" * 5000)
    bench.settle("a", bench.start("a"), Outcome(kind="succeeded", result_json=large))
    record = bench.record("a")
    assert (record.result_bytes, record.result_json) == (5002, "")
    assert bench.ledger.run(commands.whole_result("a")) == large
    assert bench.ledger.run(commands.whole_result("nobody")) is None


@pytest.mark.parametrize("result", ["null", "[]", "{}", str(2**63), '"\\u0000 ü"', "0.1"])
def test_a_result_comes_back_as_it_was_given(bench: Bench, result: str) -> None:
    bench.settle("a", bench.start("a"), Outcome(kind="succeeded", result_json=result))
    assert bench.record("a").result_json == result


@pytest.mark.parametrize(
    "reason", [Reason.TASK_NOT_REGISTERED, Reason.TIMEOUT, Reason.RESULT_NOT_SERIALIZABLE]
)
def test_failure_keeps_the_error_and_its_reason(bench: Bench, reason: Reason) -> None:
    fence = bench.start("a")
    bench.settle("a", fence, failed(reason))
    record = bench.record("a")
    assert (record.phase, record.reason) == (Phase.FAILED, reason.value)
    assert json.loads(record.error_json)["type"] == "ValueError"
    (attempt,) = record.attempts
    assert attempt == Attempt(
        attempt=1,
        reason=reason.value,
        error_type="ValueError",
        worker=WORKER,
        fence=fence,
        started=record.started_at,
        finished=record.finished_at,
    )


def test_settling_again_returns_the_end_and_changes_nothing(bench: Bench) -> None:
    fence = bench.start("a")
    bench.settle("a", fence)
    before = bench.record("a")
    again = bench.settle("a", fence, failed())
    assert (again.verdict, again.phase, again.reason) == ("already", Phase.SUCCEEDED, "Completed")
    assert bench.record("a") == before


def test_an_older_fence_settles_nothing(bench: Bench) -> None:
    old = bench.start("a")
    bench.ledger.run(commands.handback("a", old))
    new = bench.claim("a")
    assert bench.settle("a", old).verdict == "fenced"
    assert bench.settle("nobody", new).verdict == "fenced"
    assert bench.state("a") == "Running/Started"
    assert bench.settle("a", new).verdict == "ok"


def test_a_staged_outcome_wins_over_a_later_report(bench: Bench) -> None:
    fence = bench.start("a")
    assert bench.ledger.run(commands.stage("a", fence, SUCCEEDED))
    assert bench.settle("a", fence, failed(Reason.WORKER_LOST)).phase is Phase.SUCCEEDED
    assert bench.record("a").result_json == "3"


def test_the_last_staged_outcome_counts(bench: Bench) -> None:
    fence = bench.start("a")
    bench.ledger.run(commands.stage("a", fence, SUCCEEDED))
    bench.ledger.run(commands.stage("a", fence, failed(Reason.RESULT_NOT_SERIALIZABLE)))
    assert bench.settle("a", fence).reason == "ResultNotSerializable"


def test_nothing_is_staged_under_a_fence_that_is_not_current(bench: Bench) -> None:
    old = bench.start("a")
    bench.ledger.run(commands.handback("a", old))
    new = bench.claim("a")
    assert not bench.ledger.run(commands.stage("a", old, failed()))
    assert not bench.ledger.run(commands.stage("nobody", new, failed()))
    assert bench.settle("a", new).phase is Phase.SUCCEEDED


@pytest.mark.parametrize("mode", list(CancelMode))
def test_a_run_that_returns_while_it_is_being_cancelled_succeeded(bench: Bench, mode: CancelMode) -> None:
    fence = bench.start("a")
    bench.cancel("a", mode)
    assert bench.settle("a", fence).phase is Phase.SUCCEEDED
    assert bench.record("a").result_json == "3"


@pytest.mark.parametrize(
    "outcome",
    [failed(), failed(Reason.TIMEOUT), failed(Reason.WORKER_LOST), Outcome(kind="retry", delay_seconds=1)],
)
def test_any_other_end_while_it_is_being_cancelled_is_cancelled(bench: Bench, outcome: Outcome) -> None:
    fence = bench.start("a")
    bench.cancel("a", reason=Reason.DELETED)
    settled = bench.settle("a", fence, outcome)
    assert (settled.phase, settled.reason) == (Phase.CANCELLED, "Deleted")
    assert bench.record("a").attempts[0].reason == "Deleted"


def test_every_change_is_announced_with_a_growing_rev(bench: Bench) -> None:
    start = bench.ledger.run(commands.last_event_id())
    assert start == "0-0"
    bench.settle("a", bench.start("a", concurrency=keyed()))
    events = bench.ledger.run(commands.events_after(start, block_seconds=0.01))
    assert [(event.uid, event.phase.value, event.cluster, event.key) for event in events] == [
        ("a", phase, CLUSTER, "team/k") for phase in ("Admitted", "Running", "Succeeded")
    ]
    revs = [event.rev for event in events]
    assert revs == sorted(set(revs))
    assert revs[-1] == bench.record("a").rev
    assert bench.ledger.run(commands.last_event_id()) == events[-1].id
    assert bench.ledger.run(commands.events_after(events[-1].id, block_seconds=0.01)) == []


def test_a_final_run_waits_for_its_last_status_to_be_written(bench: Bench) -> None:
    fence = bench.start("a")
    assert not bench.ledger.run(commands.acknowledge("a", retain_seconds=60))
    bench.settle("a", fence)
    assert bench.ledger.run(commands.live_uids(CLUSTER)) == set()
    assert bench.ledger.run(commands.unacknowledged_uids(CLUSTER)) == {"a"}
    assert bench.ledger.run(commands.acknowledge("a", retain_seconds=60))
    assert bench.ledger.run(commands.acknowledge("nobody", retain_seconds=60))
    assert bench.ledger.run(commands.unacknowledged_uids(CLUSTER)) == set()
    assert bench.state("a") == "Succeeded/Completed"


def test_the_end_leaves_nothing_large_behind_but_the_record(bench: Bench) -> None:
    fence = bench.start("a", args=("x" * 5000,))
    bench.ledger.run(commands.stage("a", fence, SUCCEEDED))
    bench.settle("a", fence)
    kept = set(bench.ledger.client.hkeys("kelery:run:a"))
    assert not {name for name in kept if name.startswith(("message", "retry_head", "retry_tail", "staged"))}
    assert bench.ledger.client.zrange("kelery:timers", 0, -1) == []
