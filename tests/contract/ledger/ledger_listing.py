"""The part of the model that knows which runs are listed, and which run a name means.

Like the rest of the model, it follows the headers of the Lua library. Invariant: it contains only listed
runs, and every live run with a name is among the runs of that name.
"""

from __future__ import annotations

from typing import Protocol

from kelery.ledger.types import Submission
from kelery.run.phases import Phase


class Listed(Protocol):
    """The fields of a run that the listing needs."""

    submission: Submission
    phase: Phase
    arrival: int

    @property
    def uid(self) -> str: ...


class Listing:
    """Runs from their submission until they are deleted or purged."""

    def __init__(self) -> None:
        self._runs: dict[str, Listed] = {}
        #: Like the ledger's key `:names`.
        self.names: dict[str, str] = {}

    @property
    def uids(self) -> set[str]:
        return set(self._runs)

    def add(self, run: Listed) -> None:
        """A new run takes its name from any earlier run."""
        self._runs[run.uid] = run
        if run.submission.name != run.uid:
            self.names[run.submission.name] = run.uid

    def remove(self, run: Listed) -> None:
        """Its name means the newest live run with the name again, or no run."""
        self._runs.pop(run.uid, None)
        name = run.submission.name
        if self.names.get(name) == run.uid:
            del self.names[name]
            # A run whose name is its uid is found by its uid.
            others = [uid for uid in self.live_of_name(name) if uid != name]
            if others:
                self.names[name] = others[-1]

    def live_of_name(self, name: str) -> list[str]:
        """The newest last."""
        live = [run for run in self._runs.values() if run.submission.name == name and not run.phase.is_final]
        return [run.uid for run in sorted(live, key=lambda run: run.arrival)]
