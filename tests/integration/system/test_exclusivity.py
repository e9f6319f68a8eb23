"""Keys, limits, policies and cancel, through the API server and with real tasks."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import Cluster
from tests.support.polling import poll_until
from tests.support.system import System


@pytest.fixture(autouse=True)
def _running(system: System) -> None:
    """Starts all parts."""


def key(name: str = "k", **more: Any) -> dict[str, Any]:
    return {"key": name, **more}


def order_of(cluster: Cluster, names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: cluster.status(name)["timing"]["started"])


def assert_no_overlap(cluster: Cluster, names: list[str]) -> None:
    times = [cluster.status(name)["timing"] for name in order_of(cluster, names)]
    for earlier, later in itertools.pairwise(times):
        assert later["started"] >= earlier["finished"]


def test_runs_of_one_key_run_one_at_a_time_in_order_of_arrival(cluster: Cluster, tmp_path: Path) -> None:
    names = [f"one-{number}" for number in range(6)]
    for name in names:
        cluster.create(name=name, task="users.exclusive", args=[str(tmp_path), "k", 0.1], concurrency=key())
    for name in names:
        assert cluster.wait_for(name, phase="Succeeded")
    assert not (tmp_path / "overlaps").exists()
    assert order_of(cluster, names) == names
    assert_no_overlap(cluster, names)


def test_a_waiting_run_tells_its_position_and_who_holds_the_key(cluster: Cluster) -> None:
    cluster.create(name="holder", task="users.nap", args=[60], concurrency=key())
    cluster.wait_for("holder", phase="Running")
    cluster.create(name="next", task="users.nap", args=[60], concurrency=key())
    status = cluster.wait_for("next", phase="Waiting")
    assert status["reason"] == "WaitingForKey"
    assert (status["concurrency"]["position"], status["concurrency"]["heldBy"]) == (1, ["holder"])


def test_up_to_the_limit_run_at_once(cluster: Cluster) -> None:
    names = [f"two-{number}" for number in range(3)]
    for name in names:
        cluster.create(name=name, task="users.nap", args=[60], concurrency=key(limit=2))
    cluster.wait_for("two-0", phase="Running")
    cluster.wait_for("two-1", phase="Running")
    assert cluster.wait_for("two-2", phase="Waiting")["concurrency"]["position"] == 1


def test_keys_of_other_namespaces_and_other_keys_do_not_wait(cluster: Cluster, system: System) -> None:
    other = Cluster(cluster.access, namespace=f"{cluster.namespace}-b")
    other.create_namespace()
    cluster.create(name="here", task="users.nap", args=[60], concurrency=key())
    other.create(name="there", task="users.nap", args=[60], concurrency=key())
    cluster.create(name="else", task="users.nap", args=[60], concurrency=key("other"))
    for space, name in ((cluster, "here"), (other, "there"), (cluster, "else")):
        space.wait_for(name, phase="Running")
    other.delete_all()


def test_a_higher_priority_goes_first(cluster: Cluster) -> None:
    cluster.create(name="holder", task="users.nap", args=[60], concurrency=key())
    cluster.wait_for("holder", phase="Running")
    for name, priority in (("low", -5), ("usual", 0), ("high", 5)):
        cluster.create(name=name, task="users.echo", args=[1], concurrency=key(), priority=priority)
        cluster.wait_for(name, phase="Waiting")
    cluster.patch("holder", cancel="Graceful")
    for name in ("low", "usual", "high"):
        cluster.wait_for(name, phase="Succeeded")
    assert order_of(cluster, ["low", "usual", "high"]) == ["high", "usual", "low"]


def test_reject_fails_at_once_when_the_key_is_taken(cluster: Cluster) -> None:
    cluster.create(name="holder", task="users.nap", args=[60], concurrency=key())
    cluster.wait_for("holder", phase="Running")
    cluster.create(name="rejected", task="users.echo", args=[1], concurrency=key(policy="Reject"))
    assert cluster.wait_for("rejected", phase="Failed")["reason"] == "ConcurrencyRejected"


def test_replace_starts_only_after_the_old_run_has_really_ended(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "ticks"
    stubborn: dict[str, Any] = {"args": [str(file), 60, True], "cancelGracePeriodSeconds": 1}
    cluster.create(name="old", task="users.ticks", concurrency=key(), **stubborn)
    poll_until(file.exists, seconds=30, what="its first tick")
    cluster.create(name="new", task="users.echo", args=[1], concurrency=key(policy="Replace"))
    assert cluster.wait_for("old", phase="Cancelling")["reason"] == "Superseded"
    cluster.wait_for("new", phase="Succeeded")
    old = cluster.wait_for("old", phase="Cancelled")
    assert old["reason"] == "Superseded"
    assert cluster.status("new")["timing"]["started"] >= old["timing"]["finished"]


def test_queue_latest_lets_only_the_newest_waiter_live(cluster: Cluster) -> None:
    cluster.create(name="holder", task="users.nap", args=[60], concurrency=key())
    cluster.wait_for("holder", phase="Running")
    for name in ("first", "second", "third"):
        cluster.create(name=name, task="users.echo", args=[name], concurrency=key(policy="QueueLatest"))
    for name in ("first", "second"):
        assert cluster.wait_for(name, phase="Cancelled")["reason"] == "Superseded"
    cluster.patch("holder", cancel="Graceful")
    cluster.wait_for("third", phase="Succeeded")


def test_a_run_that_waits_too_long_fails(cluster: Cluster) -> None:
    cluster.create(name="holder", task="users.nap", args=[60], concurrency=key())
    cluster.wait_for("holder", phase="Running")
    cluster.create(name="late", task="users.echo", args=[1], concurrency=key(maxQueueSeconds=1))
    assert cluster.wait_for("late", phase="Failed")["reason"] == "QueueTimeout"


def test_cancel_in_each_phase(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    cluster.create(name="running", task="users.nap", args=[60, str(file)], concurrency=key())
    cluster.wait_for("running", phase="Running")
    cluster.create(name="waiting", task="users.nap", args=[60, str(file)], concurrency=key())
    cluster.wait_for("waiting", phase="Waiting")
    cluster.create(name="admitted", task="users.nap", args=[60, str(file)], queue="nobody-there")
    cluster.wait_for("admitted", phase="Admitted")
    cluster.create(name="ended", task="users.echo", args=[1])
    before = cluster.wait_for("ended", phase="Succeeded")
    for name in ("waiting", "admitted", "running", "ended"):
        cluster.patch(name, cancel="Graceful")
    for name in ("waiting", "admitted", "running"):
        status = cluster.wait_for(name, phase="Cancelled")
        assert status["reason"] == "CancelledByUser"
    cluster.patch("running", cancel="Force")
    assert file.read_text().count("begin") == 1
    assert cluster.status("ended") == before
    assert cluster.status("running")["phase"] == "Cancelled"
    assert "startTime" not in cluster.status("waiting")


def test_force_after_graceful_kills(cluster: Cluster, tmp_path: Path) -> None:
    stubborn: dict[str, Any] = {"args": [str(tmp_path / "ticks"), 60, True], "cancelGracePeriodSeconds": 600}
    cluster.create(name="stubborn", task="users.ticks", **stubborn)
    cluster.wait_for("stubborn", phase="Running")
    cluster.patch("stubborn", cancel="Graceful")
    cluster.wait_for("stubborn", phase="Cancelling")
    cluster.patch("stubborn", cancel="Force")
    cluster.wait_for("stubborn", phase="Cancelled")


def test_a_run_created_with_cancel_never_starts(cluster: Cluster) -> None:
    cluster.create(name="copied", task="users.echo", args=[1], cancel="Graceful")
    status = cluster.wait_for("copied", phase="Cancelled")
    assert status["reason"] == "CancelledAtCreate"
    assert "startTime" not in status


def test_deleting_a_running_taskrun_cancels_it(cluster: Cluster, tmp_path: Path, system: System) -> None:
    file = tmp_path / "notes"
    made = cluster.create(name="doomed", task="users.nap", args=[60, str(file)], concurrency=key())
    poll_until(file.exists, seconds=30, what="its start")
    deleted = system.plane.kubectl("delete", "ktr", "doomed", "-n", cluster.namespace)
    assert deleted.returncode == 0, deleted.stderr
    poll_until(lambda: "finally" in file.read_text(), seconds=30, what="its end")
    record = system.probe().wait_for(made["metadata"]["uid"])
    assert (record.phase.value, record.reason) == ("Cancelled", "Deleted")
    cluster.create(name="doomed", task="users.echo", args=[1], concurrency=key())
    cluster.wait_for("doomed", phase="Succeeded")
