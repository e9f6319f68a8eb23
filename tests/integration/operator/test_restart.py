"""The operator is killed, or stopped, and started again: nothing is lost and nothing is done twice."""

from __future__ import annotations

import time

import pytest

from kelery.ledger import commands
from kelery.run.phases import Phase
from kelery.taskrun.status import POSITIONS_SHOWN
from tests.integration.operator.conftest import StartOperator
from tests.support.cluster import Cluster
from tests.support.operator_process import OperatorProcess
from tests.support.played_worker import PlayedWorker
from tests.support.polling import poll_until

MOMENTS = ("created", "admitted", "running", "settled", "final written")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_survives_the_death_of_the_operator_when_it_is(
    moment: str, cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    if moment == "created":
        operator.kill()
        uid = cluster.create(name="run")["metadata"]["uid"]
        operator.restart()
    else:
        uid = cluster.create(name="run")["metadata"]["uid"]
    if moment == "admitted":
        # Its message stays in the queue: one that was taken and not claimed is sent again after a while.
        worker.wait_for_record(uid, phase=Phase.ADMITTED)
        operator.restart()
        cluster.wait_for("run", phase="Admitted")
    message = worker.next_message()
    claim = worker.claim(message)
    assert claim.uid == uid  # type: ignore[union-attr]  # refused: then it has no uid and the test fails
    if moment == "running":
        cluster.wait_for("run", phase="Running")
        operator.restart()
    if moment == "settled":
        operator.kill()
    worker.succeed(claim, "once")  # type: ignore[arg-type]
    if moment == "settled":
        operator.restart()
    assert cluster.wait_for("run", phase="Succeeded")["result"]["value"] == "once"
    if moment == "final written":
        operator.restart()
    record = worker.record(uid)
    assert record is not None
    assert (record.attempt, record.phase) == (1, Phase.SUCCEEDED)
    assert worker.messages_waiting() == 0
    poll_until(lambda: not worker.unacknowledged(), seconds=30, what="the acknowledgement")


def test_a_deletion_while_the_operator_is_down_is_caught_up(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    cluster.create(name="running", concurrency={"key": "k"})
    claim = worker.start_next()
    cluster.create(name="waiting", concurrency={"key": "k"})
    cluster.wait_for("waiting", phase="Waiting")
    waiting = (cluster.get("waiting") or {})["metadata"]["uid"]
    operator.kill()
    cluster.delete("running")
    cluster.delete("waiting")
    operator.restart()
    worker.wait_for_record(waiting, phase=Phase.CANCELLED, reason="Deleted")
    worker.wait_for_record(claim.uid, phase=Phase.CANCELLING, cancel_reason="Deleted")


def test_a_finished_run_hands_its_slot_on_while_the_operator_is_down(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    cluster.create(name="one", concurrency={"key": "k"})
    claim = worker.start_next()
    cluster.create(name="two", concurrency={"key": "k"})
    cluster.wait_for("two", phase="Waiting")
    operator.kill()
    worker.succeed(claim, 1)
    worker.succeed(worker.start_next(), 2)
    assert cluster.status("two")["phase"] == "Waiting"
    operator.restart()
    assert cluster.wait_for("one", phase="Succeeded")["result"]["value"] == 1
    assert cluster.wait_for("two", phase="Succeeded")["result"]["value"] == 2


def test_runs_created_while_it_was_down_are_served_as_they_came(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    operator.kill()
    names = ["z", "c", "q", "a", "k"]
    uids = [cluster.create(name=name, concurrency={"key": "k"})["metadata"]["uid"] for name in names]
    operator.restart()
    served = []
    for _ in names:
        claim = worker.start_next()
        served.append(claim.uid)
        worker.succeed(claim)
    assert served == uids


def test_without_its_record_a_started_run_fails_and_another_is_submitted_again(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    cluster.create(name="started", concurrency={"key": "k"})
    worker.start_next()
    cluster.wait_for("started", phase="Running")
    cluster.create(name="waiting", concurrency={"key": "k"})
    cluster.wait_for("waiting", phase="Waiting")
    operator.kill()
    worker.ledger.client.flushall()
    operator.restart()
    lost = cluster.wait_for("started", phase="Failed", reason="LedgerLost")
    assert "not run again" in lost["error"]["message"]
    claim = worker.start_next()
    assert claim.uid == (cluster.get("waiting") or {})["metadata"]["uid"]
    worker.succeed(claim)
    cluster.wait_for("waiting", phase="Succeeded")


def test_it_goes_on_when_the_ledger_is_emptied_under_it(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    cluster.create(name="waiting")
    cluster.wait_for("waiting", phase="Admitted")
    worker.ledger.client.flushall()
    worker.ledger.client.function_flush()
    claim = worker.start_next()
    cluster.wait_for("waiting", phase="Running")
    worker.succeed(claim)
    cluster.wait_for("waiting", phase="Succeeded")


def test_two_operators_at_once_do_no_harm(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess, start_operator: StartOperator
) -> None:
    start_operator()
    names = [f"shared-{number}" for number in range(10)]
    for name in names:
        cluster.create(name=name)
    started = {}
    for _ in names:
        claim = worker.start_next()
        started[claim.uid] = claim
    for claim in started.values():
        worker.succeed(claim)
    for name in names:
        cluster.wait_for(name, phase="Succeeded")
    assert len(started) == len(names)
    assert worker.messages_waiting() == 0


def test_sigterm_writes_what_is_known_and_ends_in_time(
    cluster: Cluster, worker: PlayedWorker, start_operator: StartOperator
) -> None:
    operator = start_operator()
    cluster.create(name="last-words")
    claim = worker.start_next()
    cluster.wait_for("last-words", phase="Running")
    worker.progress(claim, 1, 2)
    # Progress waits for its turn; the end of the process does not wait with it.
    unsent = "kelery_operator_status_writes_unsent"
    poll_until(lambda: operator.metric(unsent) == 1, seconds=30, what="the progress to be noted")
    # What the chart grants a pod.
    assert operator.terminate(seconds=30) == 0
    assert cluster.status("last-words")["progress"]["text"] == "1/2"


@pytest.mark.parametrize("runs", [100, pytest.param(1000, marks=pytest.mark.thorough)])
def test_a_start_with_many_live_runs_submits_and_writes_none_of_them_again(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess, runs: int
) -> None:
    began = time.monotonic()
    cluster.create_many([f"live-{number}" for number in range(runs)], concurrency={"key": "k"})
    poll_until(
        lambda: waiting_shown(cluster) >= runs - 1, seconds=120, what="all runs to be shown", every=0.5
    )
    submission = time.monotonic() - began
    submitted = 'kelery_operator_actions_total{kind="Submit"}'
    assert operator.metric(submitted) >= runs
    operator.kill()
    holder = worker.start_next()
    key = f"{cluster.namespace}/k"
    first, *others = worker.ledger.run(commands.first_waiters(key, count=POSITIONS_SHOWN + 1))

    began = time.monotonic()
    operator.restart()
    worker.succeed(holder)
    cluster.wait_for(name_of(holder.uid, worker), phase="Succeeded")
    took = time.monotonic() - began
    # The one that is shown its position only now.
    place = {"position": POSITIONS_SHOWN, "heldBy": [name_of(first, worker)]}
    cluster.wait_for(name_of(others[-1], worker), concurrency=place)

    def left_to_do() -> list[float]:
        unseen = runs - 1 - operator.metric("kelery_operator_taskruns")
        left = [
            operator.metric(f"kelery_operator_{name}") for name in ("queue_length", "status_writes_unsent")
        ]
        return [unseen, *left]

    poll_until(lambda: not any(left_to_do()), seconds=120, what="all to be done", state=left_to_do)
    writes = operator.metric('kelery_operator_status_writes_total{answer="200"}')
    print(
        f"start with {runs} live runs: {took:.1f} s, {writes:g} writes; their submission: {submission:.1f} s"
    )
    # The end of one, the phases of the next, the positions of ten.
    assert writes <= 20
    assert operator.metric(submitted) == 0
    if runs == 1000:
        # With few runs, starting the process takes most of the time.
        assert took < submission


def waiting_shown(cluster: Cluster) -> int:
    body = cluster.expect(200, "GET", path=f"{cluster.path}?fieldSelector=status.phase%3DWaiting")
    return len(body["items"])


def name_of(uid: str, worker: PlayedWorker) -> str:
    record = worker.record(uid)
    assert record is not None
    return record.name
