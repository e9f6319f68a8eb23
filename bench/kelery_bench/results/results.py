"""The results of a benchmark: for each figure of a case both sides, their ratio, and the goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kelery_bench.case import Case, Comparison
from kelery_bench.results.bounds import Bound
from kelery_bench.results.goals import GOALS


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One line of the table."""

    title: str
    reference: str
    comparison: Comparison
    goal: Bound | None = None

    @property
    def name(self) -> tuple[str, str]:
        """Case and figure."""
        return self.comparison.case, self.comparison.figure

    @property
    def is_met(self) -> bool | None:
        """Whether the median of the ratios meets the goal; None without a goal."""
        return None if self.goal is None else self.goal.holds(self.comparison.ratio)


def ratio_text(ratio: float) -> str:
    """Two decimal places, or two significant digits for small ratios."""
    return f"{ratio:.2f}" if abs(ratio) >= 0.1 else f"{ratio:.2g}"


def results_of(
    case: Case,
    comparisons: Sequence[Comparison],
    *,
    goals: Mapping[tuple[str, str], Bound] = GOALS,
) -> list[Result]:
    """The results of one case."""
    return [
        Result(
            title=case.title,
            reference=case.reference,
            comparison=comparison,
            goal=goals.get((comparison.case, comparison.figure)),
        )
        for comparison in comparisons
    ]
