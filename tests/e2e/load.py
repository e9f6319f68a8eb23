"""Load through both APIs at once, and its checks at the end."""

from __future__ import annotations

from dataclasses import dataclass

from tests.e2e.figures import Figures
from tests.e2e.journal import Journal
from tests.e2e.moves import Moves, verify
from tests.e2e.node import Node
from tests.e2e.rest_pod import RestPod
from tests.support.cluster import Watcher

_END_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Load that continues until `end` or `abandon`."""

    moves: Moves
    rest: RestPod
    watcher: Watcher
    node: Node

    def end(self, *, what: str, figures: Figures) -> None:
        """Stop sending, and check every run: none was lost, doubled or overlapped."""
        self.moves.stop()
        outcomes = self.rest.stop()
        statuses = self.moves.await_all_final(seconds=_END_SECONDS)
        journal = Journal.read(self.node)
        verify(self.moves.sent, statuses, journal=journal, watcher=self.watcher)
        assert set(outcomes.values()) == {"Succeeded/Completed"}, outcomes
        assert [name for name in outcomes if journal.ends[name] == 0] == []
        lost = [status for status in statuses.values() if status["phase"] != "Succeeded"]
        figures.count(f"{what}: runs by kubectl, each with one final phase", len(statuses))
        figures.count(f"{what}: of those, not to be tried again and WorkerLost", len(lost))
        figures.count(f"{what}: runs by HTTP, all Succeeded", len(outcomes))

    def abandon(self) -> None:
        """Stop the load after any outcome, so that it does not reach the next test."""
        self.rest.remove()
        self.moves.stop()
