"""Cancelling and deleting, in every phase, and broken hands."""

from __future__ import annotations

import pytest

from kelery.ledger import commands
from kelery.run.phases import Phase
from tests.integration.operator.conftest import StartOperator
from tests.support.cluster import Cluster
from tests.support.operator_process import OperatorProcess
from tests.support.played_worker import PlayedWorker
from tests.support.polling import poll_until


def uid_of(body: object) -> str:
    assert isinstance(body, dict)
    return str(body["metadata"]["uid"])


def test_a_run_created_with_cancel_never_runs(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    cluster.create(name="stillborn", cancel="Graceful")
    cluster.wait_for("stillborn", phase="Cancelled", reason="CancelledAtCreate")
    assert worker.messages_waiting() == 0


def test_a_waiting_run_is_cancelled_at_once_and_never_starts(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    cluster.create(name="holder", concurrency={"key": "k"})
    holder = worker.start_next()
    cluster.create(name="waiter", concurrency={"key": "k"})
    cluster.wait_for("waiter", phase="Waiting")
    cluster.patch("waiter", cancel="Graceful")
    cluster.wait_for("waiter", phase="Cancelled", reason="CancelledByUser")
    worker.succeed(holder)
    cluster.wait_for("holder", phase="Succeeded")
    assert worker.messages_waiting() == 0


def test_an_admitted_run_is_cancelled_before_a_worker_has_it(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    cluster.create(name="soon")
    cluster.wait_for("soon", phase="Admitted")
    cluster.patch("soon", cancel="Graceful")
    cluster.wait_for("soon", phase="Cancelled", reason="CancelledByUser")
    assert type(worker.claim(worker.next_message())).__name__ == "ClaimRefused"


def test_a_running_run_is_cancelling_until_its_worker_has_ended_it(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    uid = uid_of(cluster.create(name="busy"))
    claim = worker.start_next()
    cluster.wait_for("busy", phase="Running")
    cluster.patch("busy", cancel="Graceful")
    cluster.wait_for("busy", phase="Cancelling", reason="CancelledByUser")
    assert worker.wait_for_record(uid, cancel="graceful").phase is Phase.CANCELLING
    cluster.patch("busy", cancel="Force")
    worker.wait_for_record(uid, cancel="force")
    worker.fail(claim)
    cluster.wait_for("busy", phase="Cancelled", reason="CancelledByUser")


def test_a_cancel_after_the_end_changes_nothing(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    cluster.create(name="ended")
    worker.succeed(worker.start_next())
    before = cluster.wait_for("ended", phase="Succeeded")
    cluster.patch("ended", cancel="Force")
    cluster.create(name="after")
    worker.succeed(worker.start_next())
    cluster.wait_for("after", phase="Succeeded")
    assert cluster.status("ended") == before


def test_deleting_a_running_run_cancels_it(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    uid = uid_of(cluster.create(name="doomed"))
    claim = worker.start_next()
    cluster.wait_for("doomed", phase="Running")
    cluster.delete("doomed")
    worker.wait_for_record(uid, phase=Phase.CANCELLING, cancel_reason="Deleted")
    worker.fail(claim)
    worker.wait_for_record(uid, phase=Phase.CANCELLED, reason="Deleted")
    poll_until(
        lambda: not worker.unacknowledged(),
        seconds=30,
        what="the acknowledgement of a run that is gone",
    )


def test_a_new_object_of_the_same_name_is_another_run(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    first = uid_of(cluster.create(name="phoenix"))
    claim = worker.start_next()
    cluster.wait_for("phoenix", phase="Running")
    cluster.delete("phoenix")
    second = uid_of(cluster.create(name="phoenix"))
    worker.wait_for_record(first, phase=Phase.CANCELLING, cancel_reason="Deleted")
    worker.fail(claim)
    again = worker.start_next()
    assert again.uid == second
    worker.succeed(again, "second")
    assert cluster.wait_for("phoenix", phase="Succeeded")["result"]["value"] == "second"


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({}, id="wiped"),
        pytest.param({"phase": "Succeeded", "reason": "Completed"}, id="shown as ended"),
        pytest.param({"phase": "Waiting", "attempt": 0, "timing": {}, "conditions": []}, id="turned back"),
    ],
)
def test_a_status_that_was_damaged_by_hand_is_repaired(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess, broken: dict[str, object]
) -> None:
    cluster.create(name="touched")
    claim = worker.start_next()
    cluster.wait_for("touched", phase="Running")
    assert cluster.break_status("touched", broken).status == 200
    cluster.wait_for("touched", phase="Running", reason="Started")
    cluster.create(name="other")
    worker.succeed(worker.start_next())
    cluster.wait_for("other", phase="Succeeded")
    worker.succeed(claim)
    cluster.wait_for("touched", phase="Succeeded")


def test_junk_that_no_schema_stopped_does_not_stop_the_operator(
    cluster: Cluster, worker: PlayedWorker, start_operator: StartOperator
) -> None:
    operator = start_operator()
    uid = uid_of(cluster.create(name="record-broken"))
    worker.start_next()
    cluster.wait_for("record-broken", phase="Running")
    # An unreadable record, as after an edit in Redis.
    worker.ledger.client.hset(f"kelery:run:{uid}", "rev", "not a number")
    cluster.patch("record-broken", ttlSecondsAfterFinished=5)
    worker.ledger.client.xadd("kelery:events", {"nonsense": "1"})
    cluster.create(name="healthy")
    worker.succeed(worker.start_next())
    cluster.wait_for("healthy", phase="Succeeded")
    assert operator.status("/livez") == 200
    poll_until(
        lambda: operator.metric('kelery_operator_run_failures_total{error="ValueError"}') >= 1,
        seconds=30,
        what="the failure to be counted",
    )


def test_finished_runs_are_deleted_when_their_ttl_is_over(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    cluster.create(name="brief", ttlSecondsAfterFinished=0)
    worker.succeed(worker.start_next())
    cluster.wait_gone("brief")


def test_the_default_ttl_is_not_for_what_others_would_create_again(
    cluster: Cluster, worker: PlayedWorker, start_operator: StartOperator
) -> None:
    start_operator(KELERY_DEFAULT_TTL_SECONDS="0")
    cluster.create(name="helms", labels={"app.kubernetes.io/managed-by": "Helm"})
    worker.succeed(worker.start_next())
    cluster.wait_for("helms", phase="Succeeded")
    cluster.create(name="own")
    worker.succeed(worker.start_next())
    cluster.wait_gone("own")
    assert cluster.status("helms")["phase"] == "Succeeded"


def test_a_ttl_that_became_longer_after_the_end_is_kept(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    kept = 'kelery_operator_expired_total{result="later"}'
    before = operator.metric(kept)
    cluster.create(name="longer", ttlSecondsAfterFinished=2)
    worker.succeed(worker.start_next())
    cluster.wait_for("longer", phase="Succeeded")
    cluster.patch("longer", ttlSecondsAfterFinished=3600)
    poll_until(
        lambda: operator.metric(kept) == before + 1,
        seconds=30,
        what="the time at which it was due",
    )
    assert cluster.status("longer")["phase"] == "Succeeded"


def test_a_ttl_that_became_shorter_after_the_end_takes_effect(
    cluster: Cluster, worker: PlayedWorker, start_operator: StartOperator
) -> None:
    start_operator(KELERY_OPERATOR_SWEEP_SECONDS="1")
    cluster.create(name="shorter", ttlSecondsAfterFinished=3600)
    worker.succeed(worker.start_next())
    cluster.wait_for("shorter", phase="Succeeded")
    cluster.patch("shorter", ttlSecondsAfterFinished=0)
    cluster.wait_gone("shorter")


def test_the_claim_of_a_dead_worker_is_reclaimed(
    cluster: Cluster, worker: PlayedWorker, start_operator: StartOperator
) -> None:
    start_operator(KELERY_LEASE_SECONDS="3")
    cluster.create(name="orphan", concurrency={"key": "lost"})
    claim = worker.start_next()
    cluster.wait_for("orphan", phase="Running")
    cluster.create(name="next", concurrency={"key": "lost"})
    cluster.wait_for("orphan", phase="Failed", reason="WorkerLost")
    assert worker.start_next().uid == uid_of(cluster.get("next"))
    outcome = commands.handback(claim.uid, claim.fence)
    assert worker.ledger.run(outcome) is False
