"""Load through the Kubernetes API: a thread creates TaskRuns while a test breaks parts."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from typing import Any

from tests.e2e.journal import Journal
from tests.support.cluster import FINAL, Body, Cluster, Watcher
from tests.support.polling import poll_until

#: Both APIs share these places. Two runs must never be at one place, also not through different APIs.
PLACES = ("a", "b", "c", "d", "e", "f")
MOST_ATTEMPTS = 6
RETRY = {"maxAttempts": MOST_ATTEMPTS, "backoffSeconds": 1, "maxBackoffSeconds": 2, "reasons": ["WorkerLost"]}
_numbers = itertools.count(1)


def spec(name: str, *, place: str, seconds: float, retried: bool) -> dict[str, Any]:
    """The spec of a run that must be alone at its place."""
    return {
        "task": "warehouse.move",
        "args": [place, name, seconds],
        "queue": "warehouse",
        "concurrency": {"key": place},
        **({"retry": RETRY} if retried else {}),
    }


@dataclass(frozen=True, slots=True)
class Move:
    """One run that was sent."""

    name: str
    retried: bool


class Moves:
    """The load. Every second run is retried if its worker is lost."""

    def __init__(self, cluster: Cluster, *, pause: float = 0.5, seconds: float = 0.5) -> None:
        self._cluster = cluster
        self._pause = pause
        self._seconds = seconds
        self.sent: list[Move] = []
        self._failure: Exception | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop sending. Raises the thread's error."""
        self._stopping.set()
        self._thread.join()
        if self._failure:
            raise self._failure

    def await_all_final(self, *, seconds: float) -> dict[str, Body]:
        """Wait until all runs have ended; the status of each."""

        def look() -> dict[str, Body] | None:
            found = self.statuses()
            done = [status.get("phase") in FINAL for status in found.values()]
            return found if all(done) and len(found) == len(self.sent) else None

        statuses = poll_until(look, seconds=seconds, what="the runs' ends", state=self.unfinished, every=0.5)
        assert statuses is not None
        return statuses

    def statuses(self) -> dict[str, Body]:
        """The status of each run that was sent and exists."""
        names = {move.name for move in self.sent}
        listed = self._cluster.expect(200, "GET", path=self._cluster.path)["items"]
        return {
            run["metadata"]["name"]: run.get("status", {})
            for run in listed
            if run["metadata"]["name"] in names
        }

    def unfinished(self) -> dict[str, Body]:
        """The runs that have not ended or do not exist, for a failure's message."""
        found = self.statuses()
        missing: dict[str, Body] = {move.name: {} for move in self.sent if move.name not in found}
        return missing | {name: status for name, status in found.items() if status.get("phase") not in FINAL}

    def _send(self) -> None:
        places = itertools.cycle(PLACES)
        try:
            while not self._stopping.wait(self._pause):
                number = next(_numbers)
                move = Move(name=f"move-{number}", retried=number % 2 == 0)
                body = spec(move.name, place=next(places), seconds=self._seconds, retried=move.retried)
                self._cluster.create(name=move.name, **body)
                self.sent.append(move)
        except Exception as error:  # raised to the test by stop()
            self._failure = error


def verify(sent: list[Move], statuses: dict[str, Body], *, journal: Journal, watcher: Watcher) -> None:
    """Check that no run was lost, ended twice, ran twice without a retry, or overlapped."""
    assert journal.overlaps == []
    for move in sent:
        status = statuses[move.name]
        outcome = f"{status.get('phase')}/{status.get('reason')}"
        allowed = {"Succeeded/Completed"} if move.retried else {"Succeeded/Completed", "Failed/WorkerLost"}
        assert outcome in allowed, f"{move}: {status}"
        started, ended = journal.starts[move.name], journal.ends[move.name]
        assert started <= (MOST_ATTEMPTS if move.retried else 1), f"{move} started {started} times"
        if outcome == "Succeeded/Completed":
            assert ended >= 1, f"{move} has succeeded and not ended"
        # The watch may get the change a moment after the list.
        watcher.wait_final(move.name)
        finals = {phase for phase in watcher.phases(move.name) if phase in FINAL}
        assert finals == {status["phase"]}, f"{move} was {finals}, and is {status['phase']}"
