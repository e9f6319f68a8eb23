"""The journal shows an overlap. Otherwise the other tests would prove nothing."""

from __future__ import annotations

from tests.e2e.journal import Journal
from tests.e2e.node import Node
from tests.e2e.release import Release
from tests.support.cluster import Cluster
from tests.support.polling import poll_until


def test_two_runs_without_a_key_meet_at_their_place(release: Release, runs: Cluster, node: Node) -> None:
    names = ["met-first", "met-second"]
    for name in names:
        runs.create(name=name, task="warehouse.move", args=["witness", name, 3], queue="warehouse")

    def phases() -> list[str]:
        return sorted(str(runs.status(name).get("phase")) for name in names)

    poll_until(
        lambda: phases() == ["Failed", "Succeeded"], seconds=30, what="one of each", state=phases, every=0.3
    )
    [overlap] = Journal.read(node).overlaps
    assert overlap.endswith("at witness")
    Journal.clear(node)
