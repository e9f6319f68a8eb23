"""renew and reclaim: a renewed lease is safe, an unchanged one is reclaimed by compare-and-set."""

from dataclasses import replace

from kelery.ledger import commands
from kelery.ledger.lease_observer import LeaseObserver
from kelery.run.model import CancelMode, Retry
from tests.support.ledger_bench import SUCCEEDED, WORKER, Bench, failed, keyed

OTHER = "celery@other/boot-1"


def test_every_renewal_moves_the_lease(bench: Bench) -> None:
    fence = bench.start("a")
    before = bench.lease("a")
    renewed = bench.ledger.run(commands.renew(WORKER, [("a", fence)]))
    assert renewed.statuses == {("a", fence): "ok"}
    assert bench.lease("a") != before
    assert bench.lease("a").startswith(f"{fence}:")


def test_one_renewal_answers_for_each_claim(bench: Bench) -> None:
    fences = {uid: bench.start(uid) for uid in ("fine", "graceful", "force", "ended", "retaken")}
    bench.cancel("graceful")
    bench.cancel("force", CancelMode.FORCE)
    bench.settle("ended", fences["ended"])
    bench.ledger.run(commands.handback("retaken", fences["retaken"]))
    bench.claim("retaken", worker=OTHER)
    claims = [*fences.items(), ("nobody", 3)]
    statuses = bench.ledger.run(commands.renew(WORKER, claims)).statuses
    assert [statuses[claim] for claim in claims] == ["ok", "graceful", "force", "fenced", "fenced", "fenced"]


def test_a_worker_cannot_renew_what_another_has_claimed(bench: Bench) -> None:
    fence = bench.start("a")
    before = bench.lease("a")
    assert bench.ledger.run(commands.renew(OTHER, [("a", fence)])).statuses == {("a", fence): "fenced"}
    assert bench.lease("a") == before


def test_a_renewal_names_the_claims_that_it_left_out(bench: Bench) -> None:
    fences = {uid: bench.start(uid) for uid in ("a", "b")}
    bench.submit("c")
    bench.claim("c", worker=OTHER)
    renewed = bench.ledger.run(commands.renew(WORKER, [("a", fences["a"])]))
    assert renewed.orphans == (("b", fences["b"]),)
    assert bench.ledger.run(commands.renew(WORKER, [])).statuses == {}


def test_reclaim_takes_a_lease_that_stood_still_and_hands_the_slot_on(bench: Bench) -> None:
    fence = bench.start("a", concurrency=keyed())
    bench.submit("b", concurrency=keyed())
    assert bench.ledger.run(commands.reclaim("a", bench.lease("a")))
    record = bench.record("a")
    assert (record.phase.value, record.reason) == ("Failed", "WorkerLost")
    assert "stopped renewing" in record.error_json
    assert bench.state("b") == "Admitted/WaitingForWorker"
    assert bench.settle("a", fence).verdict == "already"
    assert bench.ledger.run(commands.renew(WORKER, [("a", fence)])).statuses == {("a", fence): "fenced"}


def test_reclaim_lets_go_of_a_lease_that_moved_meanwhile(bench: Bench) -> None:
    fence = bench.start("a")
    seen = bench.lease("a")
    bench.ledger.run(commands.renew(WORKER, [("a", fence)]))
    assert not bench.ledger.run(commands.reclaim("a", seen))
    assert bench.state("a") == "Running/Started"


def test_reclaim_lets_go_of_a_run_that_another_worker_has_by_now(bench: Bench) -> None:
    fence = bench.start("a")
    seen = bench.lease("a")
    bench.ledger.run(commands.handback("a", fence))
    assert not bench.ledger.run(commands.reclaim("a", seen))
    bench.claim("a", worker=OTHER)
    assert not bench.ledger.run(commands.reclaim("a", seen))
    assert bench.state("a") == "Running/Started"


def test_two_observers_of_one_dead_worker_reclaim_once(bench: Bench) -> None:
    bench.start("a", retry=Retry(max_attempts=2, backoff_seconds=0))
    seen = bench.lease("a")
    assert bench.ledger.run(commands.reclaim("a", seen))
    assert not bench.ledger.run(commands.reclaim("a", seen))
    assert bench.record("a").attempt == 2


def test_what_the_dead_worker_had_staged_is_the_outcome(bench: Bench) -> None:
    fence = bench.start("a", retry=Retry(max_attempts=2, backoff_seconds=0))
    bench.ledger.run(commands.stage("a", fence, SUCCEEDED))
    assert bench.ledger.run(commands.reclaim("a", bench.lease("a")))
    assert bench.state("a") == "Succeeded/Completed"
    assert bench.record("a").result_json == "3"


def test_what_an_earlier_attempt_had_staged_is_not(bench: Bench) -> None:
    fence = bench.start("a", retry=Retry(max_attempts=2, backoff_seconds=0))
    bench.ledger.run(commands.stage("a", fence, failed()))
    bench.settle("a", fence)
    bench.claim("a", attempt=2)
    assert bench.ledger.run(commands.reclaim("a", bench.lease("a")))
    assert bench.state("a") == "Failed/WorkerLost"


def test_a_run_that_was_asked_to_stop_is_cancelled_by_its_reclaim_and_never_retried(bench: Bench) -> None:
    bench.start("a", retry=Retry(max_attempts=5, backoff_seconds=0))
    bench.cancel("a")
    assert bench.ledger.run(commands.reclaim("a", bench.lease("a")))
    assert bench.state("a") == "Cancelled/CancelledByUser"


def test_an_observer_finds_the_dead_among_the_living_on_its_own_clock(bench: Bench) -> None:
    bench.start("dead")
    fence = bench.start("living")
    observer = LeaseObserver(stand_still=10)
    for now in (0.0, 5.0, 9.0):
        assert observer.observe(bench.ledger.run(commands.tick(leases=True)).leases, now) == []
        bench.ledger.run(commands.renew(WORKER, [("living", fence)]))
    found = observer.observe(bench.ledger.run(commands.tick(leases=True)).leases, 10.0)
    assert [uid for uid, _ in found] == ["dead"]
    assert all(bench.ledger.run(commands.reclaim(uid, lease)) for uid, lease in found)
    assert bench.state("living") == "Running/Started"


def test_an_ended_claim_leaves_no_lease_and_no_claim(bench: Bench) -> None:
    for uid in ("a", "b", "c"):
        bench.start(uid, retry=replace(Retry(), max_attempts=2))
    bench.settle("a", bench.record("a").fence)
    bench.settle("b", bench.record("b").fence, failed())
    bench.ledger.run(commands.handback("c", bench.record("c").fence))
    assert bench.ledger.run(commands.tick(leases=True)).leases == {}
    assert bench.ledger.run(commands.renew(WORKER, [])).orphans == ()
