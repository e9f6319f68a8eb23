"""`helm uninstall` while runs run and wait, and their outcome after the next install."""

from __future__ import annotations

import time

from tests.e2e.figures import Figures
from tests.e2e.journal import Journal
from tests.e2e.kubectl import Kubectl
from tests.e2e.moves import Moves, spec, verify
from tests.e2e.node import Node
from tests.e2e.release import DRAIN_SECONDS, NAMESPACE, Release
from tests.support.cluster import Cluster, Watcher
from tests.support.polling import poll_until

_SECONDS = 150


def test_uninstall_under_load_and_install_again(
    release: Release, runs: Cluster, watcher: Watcher, node: Node, kubectl: Kubectl, figures: Figures
) -> None:
    long, waiting = "uninstalled-long", "uninstalled-waiting"
    for name in (long, waiting):
        body = spec(name, place="uninstalled", seconds=DRAIN_SECONDS + 8, retried=True)
        runs.create(name=name, **body)
    moves = Moves(runs, pause=0.2, seconds=1.5)
    poll_until(lambda: Journal.read(node).starts[long], seconds=30, what="the long run", every=0.3)
    time.sleep(3)
    started = time.monotonic()
    release.uninstall()
    moves.stop()
    poll_until(lambda: _leftovers(kubectl) == [], seconds=_SECONDS, what="nothing left", every=0.5)
    took = time.monotonic() - started
    figures.note("helm uninstall under load, to the last pod's end", took, "s", goal=_SECONDS)
    assert took <= _SECONDS
    statuses = moves.statuses()
    assert set(statuses) == {move.name for move in moves.sent}
    unfinished = moves.unfinished()
    assert unfinished, "nothing waits; the reinstall has nothing to pick up"

    release.install()

    verify(moves.sent, moves.await_all_final(seconds=180), journal=Journal.read(node), watcher=watcher)
    for name in (long, waiting):
        runs.wait_for(name, seconds=60, phase="Succeeded")


def test_a_kept_taskrun_can_be_deleted_without_an_operator(
    release: Release, runs: Cluster, kubectl: Kubectl
) -> None:
    release.uninstall()
    runs.create(name="orphan")
    runs.delete("orphan")
    runs.wait_gone("orphan", seconds=5)
    release.install()


def _leftovers(kubectl: Kubectl) -> list[str]:
    """Objects that uninstall must remove: all except the secret and the claim, which it documents as kept."""
    kinds = "pods,deployments,statefulsets,services,configmaps,networkpolicies"
    accounts = "serviceaccounts,roles,rolebindings"
    found = kubectl.items(f"{kinds},{accounts}", "-n", NAMESPACE, "-l", "app.kubernetes.io/instance=kelery")
    found += kubectl.items("clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/instance=kelery")
    return [f"{item['kind']}/{item['metadata']['name']}" for item in found]
