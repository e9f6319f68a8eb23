"""Measurements of the tests, for the final summary."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Figures:
    """The lines of the summary, in the order of measurement."""

    lines: list[str] = field(default_factory=list)

    def note(self, what: str, value: float, unit: str, *, goal: float | None = None) -> None:
        """Add a figure and its goal, if it has one. Goals are only printed here; tests assert bounds."""
        aim = "" if goal is None else f"  (goal: at most {goal:g})"
        self.lines.append(f"{what:<64}{value:8.1f} {unit}{aim}")

    def count(self, what: str, number: int) -> None:
        """Add a count."""
        self.lines.append(f"{what:<64}{number:6d}")
