"""The whole life of a run through the real operator, the real API server and the real ledger."""

from __future__ import annotations

import statistics
import time

from kelery.ledger.types import Claim
from tests.integration.operator.conftest import StartOperator, new_namespace
from tests.support.cluster import Cluster
from tests.support.operator_process import OperatorProcess
from tests.support.played_worker import BusyWorker, PlayedWorker
from tests.support.polling import poll_until

#: The repetitions of a run whose phases are counted. A stall of the machine may show one more phase.
REPEATED = 5


def conditions(status: object) -> dict[str, str]:
    assert isinstance(status, dict)
    return {condition["type"]: condition["status"] for condition in status["conditions"]}


def test_a_run_goes_from_its_manifest_to_its_result(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    created = cluster.create(name="whole", args=[1, 2])
    message = worker.next_message()
    assert (message.uid, message.task) == (created["metadata"]["uid"], "demo.add")
    assert cluster.wait_for("whole", phase="Admitted")["reason"] == "WaitingForWorker"

    claim = worker.claim(message)
    assert isinstance(claim, Claim)
    running = cluster.wait_for("whole", phase="Running")
    assert running["worker"] == "celery@played"
    assert running["startTime"]

    worker.succeed(claim, 3)
    ended = cluster.wait_for("whole", phase="Succeeded", reason="Completed")
    assert ended["result"] == {"value": 3, "truncated": False}
    assert conditions(ended) == {
        "Admitted": "True",
        "Started": "True",
        "Finished": "True",
        "Succeeded": "True",
    }


def test_a_null_in_a_result_is_kept(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    cluster.create(name="nothing")
    worker.succeed(worker.start_next(), {"a": None, "b": [None]})
    assert cluster.wait_for("nothing", phase="Succeeded")["result"]["value"] == {"a": None, "b": [None]}
    cluster.create(name="none")
    worker.succeed(worker.start_next(), None)
    assert cluster.wait_for("none", phase="Succeeded")["result"] == {"value": None, "truncated": False}


def test_a_failure_tells_the_exception(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    cluster.create(name="bad")
    worker.fail(worker.start_next(), message="no such page")
    ended = cluster.wait_for("bad", phase="Failed", reason="TaskError")
    assert (ended["error"]["type"], ended["error"]["message"]) == ("ValueError", "no such page")
    assert conditions(ended)["Succeeded"] == "False"


def test_a_run_shorter_than_the_debounce_costs_one_write(
    cluster: Cluster, operator: OperatorProcess, valkey_url: str
) -> None:
    with cluster.watched() as watcher, BusyWorker(valkey_url):
        for number in range(10):
            cluster.create(name=f"short-{number}")
            watcher.wait_final(f"short-{number}")
        counts = [len(watcher.changes(f"short-{number}")) for number in range(10)]
    # A stall of this machine between claim and settle may show one phase more, not more often than that.
    assert statistics.median(counts) == 1, counts
    assert max(counts) <= 2, counts


def test_a_run_that_never_waits_costs_two_writes(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    shown = []
    with cluster.watched() as watcher:
        for name in map("longer-{}".format, range(REPEATED)):
            cluster.create(name=name)
            claim = worker.start_next()
            cluster.wait_for(name, phase="Running")
            worker.succeed(claim)
            watcher.wait_final(name)
            shown.append(watcher.phases(name))
    assert_most_are(shown, ["Running", "Succeeded"], others=["Admitted", "Running", "Succeeded"])


def test_a_run_that_waits_costs_one_write_more_for_each_phase_that_lasts(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    shown = []
    with cluster.watched() as watcher:
        for number in range(REPEATED):
            waiter, key = f"waiter-{number}", f"key-{number}"
            cluster.create(name=f"holder-{number}", concurrency={"key": key})
            holder = worker.start_next()
            cluster.create(name=waiter, concurrency={"key": key})
            waiting = cluster.wait_for(waiter, phase="Waiting", reason="WaitingForKey")
            assert waiting["concurrency"] == {"position": 1, "heldBy": [f"holder-{number}"]}
            worker.succeed(holder)
            claim = worker.start_next()
            cluster.wait_for(waiter, phase="Running")
            worker.succeed(claim)
            watcher.wait_final(waiter)
            shown.append(watcher.phases(waiter))
    assert_most_are(
        shown,
        ["Waiting", "Running", "Succeeded"],
        others=["Waiting", "Admitted", "Running", "Succeeded"],
    )


def assert_most_are(shown: list[list[str]], usual: list[str], *, others: list[str]) -> None:
    """Most showed the usual phases. A machine that stalls between admission and claim shows the others."""
    assert all(phases in (usual, others) for phases in shown), shown
    assert shown.count(usual) > len(shown) / 2, shown


def test_progress_is_written_at_most_every_two_seconds(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    with cluster.watched() as watcher:
        cluster.create(name="steps")
        claim = worker.start_next()
        cluster.wait_for("steps", phase="Running")
        started = time.monotonic()
        for step in range(1, 41):
            worker.progress(claim, step, 40)
            time.sleep(0.05)
        seen = cluster.wait_for("steps", progress={"current": 40, "total": 40, "text": "40/40"})
        assert seen["phase"] == "Running"
        allowed = 2 + (time.monotonic() - started) / 2
        worker.succeed(claim)
        watcher.wait_final("steps")
        progressed = [change for change in watcher.changes("steps") if "progress" in change["status"]]
        assert len(progressed) <= allowed + 1


def test_positions_move_up(cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess) -> None:
    for number in range(4):
        cluster.create(name=f"in-line-{number}", concurrency={"key": "line"})
    first = worker.start_next()
    assert cluster.wait_for("in-line-3", phase="Waiting")["concurrency"]["position"] == 3
    worker.succeed(first)
    place = {"position": 2, "heldBy": ["in-line-1"]}
    assert cluster.wait_for("in-line-3", concurrency=place)["phase"] == "Waiting"


def test_a_hand_over_writes_nothing_to_those_who_wait_far_behind(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    for number in range(14):
        cluster.create(name=f"long-{number:02}", concurrency={"key": "long"})
    first = worker.start_next()
    far = cluster.wait_for("long-13", phase="Waiting")
    assert "position" not in far.get("concurrency", {})
    assert cluster.wait_for("long-01", phase="Waiting")["concurrency"]["position"] == 1
    with cluster.watched() as watcher:
        worker.succeed(first)
        place = {"position": 10, "heldBy": ["long-01"]}
        cluster.wait_for("long-11", concurrency=place)
        cluster.wait_for("long-02", concurrency={**place, "position": 1})
        assert watcher.changes("long-13") == []


def test_first_come_is_first_served(
    cluster: Cluster, operator: OperatorProcess, valkey_url: str, worker: PlayedWorker
) -> None:
    names = ["m", "b", "z", "a", "q", "c", "y", "k"]
    uids = [cluster.create(name=n, concurrency={"key": "fifo"})["metadata"]["uid"] for n in names]
    for name in names[1:]:
        cluster.wait_for(name, phase="Waiting")
    with BusyWorker(valkey_url) as busy:
        poll_until(lambda: len(busy.order) == len(names), seconds=30, what="all", state=lambda: busy.order)
    assert busy.order == uids


def test_from_create_to_succeeded_takes_a_few_times_as_long_as_the_bare_writes(
    cluster: Cluster, operator: OperatorProcess, valkey_url: str
) -> None:
    """The bare writes, in a namespace without an operator, measure how busy the machine is."""
    bare = new_namespace(cluster.access)
    with cluster.watched() as watcher, bare.watched() as bare_watcher, BusyWorker(valkey_url):

        def through_kelery(name: str) -> float:
            began = time.monotonic()
            cluster.create(name=name)
            return watcher.wait_final(name) - began

        def through_the_api_server(name: str) -> float:
            began = time.monotonic()
            bare.create(name=name)
            bare.break_status(name, {"phase": "Succeeded"})
            return bare_watcher.wait_final(name) - began

        pairs = [
            (through_kelery(name), through_the_api_server(name)) for name in map("quick-{}".format, range(20))
        ]
    bare.delete_all()
    took, floor = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"create -> Succeeded: p50 {took * 1000:.0f} ms, bare {floor * 1000:.0f} ms")
    assert took <= 5 * floor, pairs


def test_a_spec_nested_too_deeply_or_too_large_ends_with_a_reason(
    cluster: Cluster, worker: PlayedWorker, operator: OperatorProcess
) -> None:
    deep: object = 1
    for _ in range(40):
        deep = [deep]
    cluster.create(name="deep", args=[deep])
    cluster.create(name="large", kwargs={"text": "x" * 200_000})
    for name, word in (("deep", "nested"), ("large", "bytes")):
        ended = cluster.wait_for(name, phase="Failed", reason="SpecTooLarge")
        assert word in ended["error"]["message"]
    assert worker.messages_waiting() == 0


def test_a_run_with_another_namespace_is_left_alone(
    cluster: Cluster, worker: PlayedWorker, start_operator: StartOperator
) -> None:
    start_operator(KELERY_NAMESPACES="somewhere-else")
    cluster.create(name="foreign")
    start_operator(KELERY_NAMESPACES=f"{cluster.namespace}, somewhere-else")
    worker.next_message()
    assert worker.messages_waiting() == 0
