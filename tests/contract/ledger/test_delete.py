"""delete: hidden at once, stopped like any other run, and removed by the purge."""

from dataclasses import replace

import pytest

from kelery.errors import RunConflict
from kelery.ledger import commands, queries
from kelery.ledger.types import Cancelled, Submission
from kelery.run.model import CancelMode, Transition
from kelery.run.phases import Phase, Reason
from tests.support.ledger_bench import SUCCEEDED, WORKER, Bench, failed, keyed


def delete(bench: Bench, uid: str) -> Cancelled:
    return bench.ledger.run(commands.delete(uid))


def listed(bench: Bench) -> set[str]:
    """The uids in the namespace's list."""
    call = queries.newest("team", at_most=None, at_least=0, offset=0, count=1000)
    return {uid for uid, _ in bench.ledger.run(call)}


def history(bench: Bench, uid: str) -> list[Transition]:
    return bench.ledger.run(commands.history(uid))


def from_rest(bench: Bench, uid: str, *, key: str | None = None) -> Submission:
    """A run that was created through the gateway and is kept for an hour."""
    spec = {"concurrency": keyed(key)} if key else {}
    return replace(bench.submission(uid, **spec), origin="REST", retain_seconds=3600, requester="jane")


def start(bench: Bench, submission: Submission) -> int:
    bench.ledger.run(commands.submit(submission))
    return bench.claim(submission.uid)


def test_a_running_run_keeps_its_slot_until_it_has_really_ended(bench: Bench) -> None:
    fence = start(bench, from_rest(bench, "a", key="k"))
    bench.submit("b", concurrency=keyed())
    answer = delete(bench, "a")
    assert (answer.known, answer.changed, answer.phase, answer.reason) == (
        True,
        True,
        Phase.CANCELLING,
        "Deleted",
    )
    assert bench.state("b") == "Waiting/WaitingForKey"
    assert bench.ledger.run(commands.renew(WORKER, [("a", fence)])).statuses == {("a", fence): "graceful"}
    assert listed(bench) == {"b"}
    bench.settle("a", fence, failed())
    assert bench.state("a") == "Cancelled/Deleted"
    assert bench.state("b") == "Admitted/WaitingForWorker"


def test_its_spec_and_its_result_are_removed_when_it_has_ended(bench: Bench) -> None:
    fence = start(bench, from_rest(bench, "a", key="k"))
    delete(bench, "a")
    assert bench.record("a").spec_json
    assert history(bench, "a")
    bench.settle("a", fence, SUCCEEDED)
    record = bench.record("a")
    assert (record.phase, record.is_deleted) == (Phase.SUCCEEDED, True)
    assert (record.spec_json, record.result_json, record.requester, record.attempts) == ("", "", "", ())
    assert (history(bench, "a"), bench.ledger.run(commands.whole_result("a"))) == ([], None)


def test_a_finished_run_is_stripped_at_once(bench: Bench) -> None:
    bench.settle("a", start(bench, from_rest(bench, "a")), SUCCEEDED)
    assert bench.ledger.run(commands.whole_result("a")) == "3"
    answer = delete(bench, "a")
    assert (answer.changed, answer.phase) == (True, Phase.SUCCEEDED)
    assert bench.ledger.run(commands.whole_result("a")) is None
    assert (bench.record("a").spec_json, bench.record("a").is_deleted) == ("", True)


def test_a_task_run_keeps_what_its_last_status_is_made_of(bench: Bench) -> None:
    bench.settle("a", bench.start("a"), SUCCEEDED)
    delete(bench, "a")
    assert (bench.record("a").result_json, listed(bench)) == ("3", set())


def test_a_run_without_a_claim_ends_at_once_and_never_starts(bench: Bench) -> None:
    bench.ledger.run(commands.submit(from_rest(bench, "a", key="k")))
    bench.submit("b", concurrency=keyed())
    assert delete(bench, "a").phase is Phase.CANCELLED
    assert bench.state("b") == "Admitted/WaitingForWorker"
    assert bench.try_claim("a") != bench.try_claim("b")


def test_deleting_again_changes_nothing(bench: Bench) -> None:
    fence = start(bench, from_rest(bench, "a"))
    delete(bench, "a")
    rev = bench.record("a").rev
    assert not delete(bench, "a").changed
    assert bench.record("a").rev == rev
    bench.settle("a", fence, failed())
    answer = delete(bench, "a")
    assert (answer.known, answer.changed, answer.phase) == (True, False, Phase.CANCELLED)


def test_an_unknown_run_is_gone(bench: Bench) -> None:
    assert delete(bench, "nobody") == Cancelled(known=False, changed=False, phase=None, reason="")


def test_the_first_reason_and_a_harder_cancel_stay(bench: Bench) -> None:
    fence = start(bench, from_rest(bench, "a"))
    bench.cancel("a", CancelMode.FORCE)
    assert delete(bench, "a").reason == "CancelledByUser"
    assert bench.record("a").cancel == "force"
    bench.settle("a", fence, failed())
    assert bench.state("a") == "Cancelled/CancelledByUser"
    assert bench.record("a").is_deleted


def test_a_deleted_run_can_still_be_forced(bench: Bench) -> None:
    fence = start(bench, from_rest(bench, "a"))
    delete(bench, "a")
    assert bench.cancel("a", CancelMode.FORCE)
    assert bench.ledger.run(commands.renew(WORKER, [("a", fence)])).statuses == {("a", fence): "force"}


def test_its_uid_is_known_until_it_is_purged(bench: Bench) -> None:
    submission = from_rest(bench, "a")
    bench.settle("a", start(bench, submission), SUCCEEDED)
    delete(bench, "a")
    assert not bench.ledger.run(commands.submit(submission)).new
    assert bench.pushed() == ["a:1"]
    with pytest.raises(RunConflict):
        bench.ledger.run(commands.submit(replace(submission, spec_hash="another")))
    bench.make_due("purge", "a")
    bench.tick()
    assert bench.ledger.run(commands.view(["a"], inline_bytes=0)) == [None]
    assert bench.ledger.run(commands.submit(submission)).new


def test_nothing_of_it_is_left_when_it_is_purged(bench: Bench) -> None:
    bench.settle("a", start(bench, from_rest(bench, "a", key="k")), SUCCEEDED)
    delete(bench, "a")
    bench.make_due("purge", "a")
    bench.tick()
    bench.empty()
    assert bench.ledger.run(queries.queues()) == []
    assert set(bench.ledger.client.keys("kelery:*")) <= {"kelery:meta", "kelery:events"}


def test_a_run_whose_task_run_is_gone_is_not_listed(bench: Bench) -> None:
    bench.submit("a")
    bench.start("b")
    for uid in ("a", "b"):
        bench.cancel(uid, reason=Reason.DELETED)
    assert listed(bench) == set()
    assert (bench.state("a"), bench.state("b")) == ("Cancelled/Deleted", "Cancelling/Deleted")
