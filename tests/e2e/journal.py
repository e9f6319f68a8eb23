"""The journal that the guests' tasks write on the shared volume. It shows overlaps."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tests.e2e.node import FOLDER, Node

_FILE = f"{FOLDER}/shelves/journal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """How often each run's code started and ended, and the overlaps that the tasks detected."""

    starts: Counter[str]
    ends: Counter[str]
    overlaps: list[str]

    @staticmethod
    def clear(node: Node) -> None:
        """Delete all entries."""
        node.shell(f"rm -f {_FILE}")

    @classmethod
    def read(cls, node: Node) -> Journal:
        starts: Counter[str] = Counter()
        ends: Counter[str] = Counter()
        overlaps = []
        for line in node.shell(f"cat {_FILE} 2>/dev/null || true").splitlines():
            event, place, name = line.split(" ")
            if event == "overlap":
                overlaps.append(f"{name} at {place}")
            else:
                {"start": starts, "end": ends}[event][name] += 1
        return cls(starts=starts, ends=ends, overlaps=overlaps)
