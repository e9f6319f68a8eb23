"""A comparison: the same work with Kelery and with its reference, in turns, and the ratio of the two.

Absolute times differ between machines and from minute to minute; the ratio of two measurements in the same
minute hardly does. So each round measures both, one after the other, in alternating order.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

#: One round's figures by name, such as {"p50": 12.1, "p95": 14.0}, in the case's unit.
Figures = Mapping[str, float]
Measure = Callable[[], Figures]
#: Receives a line about the progress of a benchmark.
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One comparison. Both measures return figures with the same names."""

    name: str
    title: str
    reference: str
    unit: str
    ours: Measure
    theirs: Measure
    #: The rounds that count; one more precedes them as a warm-up.
    rounds: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The values of one figure of a case, for each round."""

    case: str
    figure: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Kelery's figure divided by the reference's, for each round."""
        return tuple(ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)


def compare(case: Case, *, report: Report = lambda line: None) -> list[Comparison]:
    """Measure a case; `report` receives a line for each round."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for turn in range(case.rounds + 1):
        first, second = (case.ours, case.theirs) if turn % 2 else (case.theirs, case.ours)
        one, other = first(), second()
        ours, theirs = (one, other) if turn % 2 else (other, one)
        if turn == 0:
            continue
        report(f"{case.name}: round {turn} of {case.rounds}")
        for figure in ours:
            mine, reference = found.setdefault(figure, ([], []))
            mine.append(ours[figure])
            reference.append(theirs[figure])
    return [
        Comparison(case=case.name, figure=figure, unit=case.unit, ours=tuple(ours), theirs=tuple(theirs))
        for figure, (ours, theirs) in found.items()
    ]
