"""SIGKILL to each part in turn, under load through both APIs."""

from __future__ import annotations

import time

import pytest

from tests.e2e.figures import Figures
from tests.e2e.journal import Journal
from tests.e2e.kubectl import Object
from tests.e2e.load import Load
from tests.e2e.moves import Moves, spec
from tests.e2e.node import Node, container_id
from tests.e2e.release import Release
from tests.support.cluster import Cluster
from tests.support.polling import poll_until

#: The part's component and pool, the container to kill, and the index of its pod.
_VICTIMS = (
    ("api", "", "api", 0),
    ("operator", "", "operator", 0),
    ("worker", "warehouse", "worker", 0),
    ("valkey", "", "valkey", 0),
    ("worker", "warehouse", "worker", 1),
    ("worker", "default", "worker", 0),
    ("api", "", "api", 1),
)
#: The lease needs 15 seconds. The rest is for a loaded machine with two cores.
_SLOT_FREE_SECONDS = 25


def test_every_part_killed_under_load(release: Release, load: Load, node: Node, figures: Figures) -> None:
    for component, pool, container, which in _VICTIMS:
        _await_ends(load.moves)
        victim = _in_order(release.pods(component, pool=pool))[which]
        node.kill(victim, container=container)
        _await_restart(release, victim, component=component, pool=pool, container=container)
    _await_ends(load.moves)
    load.end(what=f"{len(_VICTIMS)} kills", figures=figures)


@pytest.mark.parametrize("retried", [True, False])
def test_a_dead_workers_slot_is_free_in_bounded_time(
    release: Release, runs: Cluster, node: Node, figures: Figures, retried: bool
) -> None:
    name = f"holder-{retried}".lower()
    place = f"held-{retried}".lower()
    runs.create(name=name, **spec(name, place=place, seconds=25, retried=retried))
    poll_until(lambda: Journal.read(node).starts[name], seconds=20, what="the holder's start", every=0.2)
    runs.create(name=f"{name}-next", **spec(f"{name}-next", place=place, seconds=0.1, retried=True))
    worker = runs.wait_for(name, phase="Running")["worker"]
    [victim] = [pod for pod in release.pods("worker", pool="warehouse") if pod["metadata"]["name"] in worker]
    killed = time.monotonic()
    node.kill(victim, container="worker")
    if retried:
        # The retried run keeps its slot, so it is also the next to start.
        poll_until(
            lambda: Journal.read(node).starts[name] == 2,
            seconds=_SLOT_FREE_SECONDS,
            what="a second start",
            every=0.2,
        )
        took = time.monotonic() - killed
        figures.note("SIGKILL of a worker to its run's next attempt", took, "s", goal=15)
        runs.wait_for(name, seconds=60, phase="Succeeded")
    else:
        status = runs.wait_for(name, seconds=_SLOT_FREE_SECONDS, phase="Failed")
        assert status["reason"] == "WorkerLost"
    runs.wait_for(f"{name}-next", seconds=10, phase="Succeeded")
    if not retried:
        took = time.monotonic() - killed
        figures.note("SIGKILL of a worker to the end of the key's next run", took, "s", goal=15)
    assert Journal.read(node).overlaps == []
    release.await_ready()


def _in_order(pods: list[Object]) -> list[Object]:
    """The pods by name. A killed pod stays the same, only its container is new."""
    return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))


def _await_ends(moves: Moves) -> None:
    """Wait until some of the runs that are sent from now on have ended."""
    before = len(moves.sent)

    def look() -> bool:
        later, statuses = moves.sent[before:], moves.statuses()
        ended = [move for move in later if statuses.get(move.name, {}).get("phase") == "Succeeded"]
        return len(ended) >= 3

    poll_until(look, seconds=60, what="ends under load", state=moves.unfinished, every=0.5)


def _await_restart(release: Release, victim: Object, *, component: str, pool: str, container: str) -> None:
    """Wait until the kubelet has restarted the container, and the part is ready."""
    name, old = victim["metadata"]["name"], container_id(victim, container)

    def restarted() -> bool:
        [pod] = [pod for pod in release.pods(component, pool=pool) if pod["metadata"]["name"] == name]
        [state] = [state for state in pod["status"]["containerStatuses"] if state["name"] == container]
        return bool(state["ready"]) and not str(state["containerID"]).endswith(old)

    poll_until(restarted, seconds=90, what=f"{name} to be back", every=0.5)
