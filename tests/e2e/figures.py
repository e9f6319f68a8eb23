"""What the tests measured, for the summary at the end."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Figures:
    """Lines in the order in which they were measured."""

    lines: list[str] = field(default_factory=list)

    def note(self, what: str, value: float, unit: str, *, goal: float | None = None) -> None:
        """One figure, and the goal if it has one: a goal is printed here, a bound is asserted by the test."""
        aim = "" if goal is None else f"  (goal: at most {goal:g})"
        self.lines.append(f"{what:<64}{value:8.1f} {unit}{aim}")

    def count(self, what: str, number: int) -> None:
        """How much of something there was."""
        self.lines.append(f"{what:<64}{number:6d}")
