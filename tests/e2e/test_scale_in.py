"""Busy workers are stopped: a pool shrinks, a node is drained."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.journal import Journal
from tests.e2e.kubectl import Kubectl
from tests.e2e.moves import spec
from tests.e2e.node import Node
from tests.e2e.release import DRAIN_SECONDS, NAMESPACE, Release
from tests.support.cluster import Cluster
from tests.support.polling import poll_until

_DEPLOYMENT = "deployment/kelery-worker-warehouse"
_PODS = "kelery.dev/pool=warehouse"
_numbers = itertools.count(1)


@pytest.fixture
def pool_of_one(release: Release, kubectl: Kubectl) -> Iterator[Callable[[], set[str]]]:
    """A function that scales from two pods to one; the names that stay. Scales back after the test."""

    def shrink() -> set[str]:
        kubectl.run("scale", _DEPLOYMENT, "--replicas=1", "-n", NAMESPACE)
        stay = poll_until(
            lambda: names if len(names := _names(release)) == 1 else None, seconds=20, what="one pod"
        )
        assert stay is not None
        return stay

    yield shrink
    # Helm owns the field. With another number, its next upgrade would have a conflict.
    kubectl.run("scale", _DEPLOYMENT, "--replicas=2", "-n", NAMESPACE)


def test_runs_that_end_within_the_grace_never_notice(
    release: Release, runs: Cluster, node: Node, pool_of_one: Callable[[], set[str]]
) -> None:
    names = _start(runs, node, count=6, seconds=DRAIN_SECONDS / 2, retried=False)
    [stays] = pool_of_one()
    statuses = [runs.wait_for(name, seconds=30, phase="Succeeded") for name in names]
    assert {status["attempt"] for status in statuses} == {1}
    assert [status["worker"] for status in statuses if stays not in status["worker"]], "it was idle"


def test_longer_runs_are_tried_again_elsewhere_if_they_say_so(
    release: Release, runs: Cluster, node: Node, pool_of_one: Callable[[], set[str]]
) -> None:
    long = DRAIN_SECONDS + 6
    retried = _start(runs, node, count=3, seconds=long, retried=True)
    others = _start(runs, node, count=3, seconds=long, retried=False)
    pool_of_one()
    again = [runs.wait_for(name, seconds=90, phase="Succeeded")["attempt"] for name in retried]
    ends = [_await_end(runs, name) for name in others]
    journal = Journal.read(node)
    assert journal.overlaps == []
    # Three of the six runs were on the removed pod.
    assert sum(attempt - 1 for attempt in again) + ends.count("Failed/WorkerLost") == 3
    assert set(ends) <= {"Succeeded/Completed", "Failed/WorkerLost"}
    assert all(journal.starts[name] == 1 for name in others)


def test_a_drained_node(release: Release, runs: Cluster, node: Node, kubectl: Kubectl) -> None:
    [only] = kubectl.items("nodes")
    names = _start(runs, node, count=4, seconds=DRAIN_SECONDS + 6, retried=True)
    try:
        drain = ("drain", only["metadata"]["name"], f"--pod-selector={_PODS}", "--delete-emptydir-data")
        kubectl.run(*drain, "--timeout=90s", timeout=100)
        assert [pod["spec"].get("nodeName") for pod in release.pods("worker", pool="warehouse")] == [
            None,
            None,
        ]
    finally:
        kubectl.run("uncordon", only["metadata"]["name"])
    for name in names:
        runs.wait_for(name, seconds=90, phase="Succeeded")
    assert Journal.read(node).overlaps == []


def _names(release: Release) -> set[str]:
    return {pod["metadata"]["name"] for pod in release.pods("worker", pool="warehouse")}


def _start(runs: Cluster, node: Node, *, count: int, seconds: float, retried: bool) -> list[str]:
    """Create runs at different places, and wait until their code runs."""
    names = [f"grace-{next(_numbers)}" for _ in range(count)]
    for name in names:
        runs.create(name=name, **spec(name, place=name, seconds=seconds, retried=retried))
    poll_until(
        lambda: all(Journal.read(node).starts[name] for name in names),
        seconds=60,
        what="the starts",
        every=0.3,
    )
    return names


def _await_end(runs: Cluster, name: str) -> str:
    poll_until(lambda: runs.status(name).get("completionTime"), seconds=60, what=f"{name}'s end", every=0.3)
    status = runs.status(name)
    return f"{status['phase']}/{status['reason']}"
