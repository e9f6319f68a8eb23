"""The operator is killed during runs: no run is lost, none runs twice, and waiters get free slots.

One operator and one worker serve all tests of this module.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from kelery.run.phases import Phase
from tests.support.cluster import FINAL, Cluster
from tests.support.operator_process import OperatorProcess
from tests.support.polling import poll_until
from tests.support.system import System, new_namespace

KEYS = 4


@pytest.fixture(scope="module", autouse=True)
def _worker(bare_system: System) -> Iterator[None]:
    """Starts a worker that no test kills."""
    started = bare_system.start_worker()
    yield
    started.close()


@pytest.fixture(scope="module")
def operator(bare_system: System) -> Iterator[OperatorProcess]:
    """An operator of one namespace, which tests kill and restart.

    With all namespaces and an empty ledger, it would submit TaskRuns that other tests left.
    """
    namespace = new_namespace(bare_system.plane).namespace
    started = bare_system.start_operator(KELERY_NAMESPACES=namespace)
    yield started
    started.kill()


@pytest.fixture
def cluster(bare_system: System, operator: OperatorProcess) -> Iterator[Cluster]:
    """The operator's namespace. After a test: operator restarted, all runs ended, all TaskRuns deleted."""
    space = Cluster(bare_system.plane.access(), namespace=operator.environment["KELERY_NAMESPACES"])
    yield space
    if operator.has_ended:
        operator.restart()
    space.delete_all()
    probe = bare_system.probe()
    poll_until(
        lambda: probe.nothing_is_open() and probe.nothing_is_held(), seconds=60, what="all runs to end"
    )


@pytest.mark.parametrize(("runs", "kills"), [(40, 4), pytest.param(80, 8, marks=pytest.mark.thorough)])
def test_runs_survive_an_operator_that_keeps_dying(
    bare_system: System, operator: OperatorProcess, cluster: Cluster, tmp_path: Path, runs: int, kills: int
) -> None:
    """Runs are created all the time, so that each kill hits runs in every stage."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    starts = tmp_path / "starts"
    names = [f"run-{number}" for number in range(runs)]
    kill_before = set(dice.sample(range(5, runs), kills))
    for number, name in enumerate(names):
        if number in kill_before:
            time.sleep(dice.uniform(0, 0.1))
            operator.kill()
            if dice.random() < 0.5:
                # Some runs are created while there is no operator.
                cluster.create(name=f"{name}-while-down", task="users.echo", args=[1])
            operator.restart()
        concurrency = {"key": f"k{number % KEYS}"}
        cluster.create(name=name, task="users.nap", args=[0.05, str(starts)], concurrency=concurrency)
        time.sleep(dice.uniform(0, 0.02))

    def phases() -> Counter[str]:
        listed = cluster.expect(200, "GET", path=cluster.path)["items"]
        return Counter(item.get("status", {}).get("phase", "none") for item in listed)

    poll_until(
        lambda: set(phases()) <= set(FINAL), seconds=120, what="the end of all", state=phases, every=0.2
    )
    assert set(phases()) == {"Succeeded"}
    assert {cluster.status(name)["attempt"] for name in names} == {1}
    assert starts.read_text().count("begin") == runs
    assert bare_system.probe().nothing_is_held()


def test_a_finished_run_hands_its_slot_on_while_there_is_no_operator(
    bare_system: System, operator: OperatorProcess, cluster: Cluster
) -> None:
    uids = []
    for number in range(3):
        made = cluster.create(
            name=f"run-{number}", task="users.nap", args=[0.3], concurrency={"key": "hand-over"}
        )
        uids.append(made["metadata"]["uid"])
        cluster.wait_for(f"run-{number}", phase="Running" if number == 0 else "Waiting")
    operator.kill()
    probe = bare_system.probe()
    for uid in uids:
        assert probe.wait_for(uid).phase is Phase.SUCCEEDED
    assert cluster.status("run-2")["phase"] == "Waiting"
    operator.restart()
    for number in range(3):
        cluster.wait_for(f"run-{number}", phase="Succeeded")


def test_what_was_asked_while_there_was_no_operator_is_done_when_it_is_back(
    bare_system: System, operator: OperatorProcess, cluster: Cluster
) -> None:
    probe = bare_system.probe()
    uids = {}
    for name in ("deleted", "cancelled"):
        uids[name] = cluster.create(name=name, task="users.nap", args=[60])["metadata"]["uid"]
        cluster.wait_for(name, phase="Running")
    operator.kill()
    cluster.delete("deleted")
    cluster.patch("cancelled", cancel="Graceful")
    operator.restart()
    assert probe.wait_for(uids["deleted"]).reason == "Deleted"
    assert cluster.wait_for("cancelled", phase="Cancelled")["reason"] == "CancelledByUser"


def test_two_operators_at_once_do_no_harm(bare_system: System, cluster: Cluster, tmp_path: Path) -> None:
    second = bare_system.start_operator(KELERY_NAMESPACES=cluster.namespace)
    try:
        starts = tmp_path / "starts"
        for number in range(20):
            cluster.create(
                name=f"run-{number}", task="users.nap", args=[0.01, str(starts)], concurrency={"key": "two"}
            )
        for number in range(20):
            cluster.wait_for(f"run-{number}", phase="Succeeded")
        assert starts.read_text().count("begin") == 20
    finally:
        second.kill()
