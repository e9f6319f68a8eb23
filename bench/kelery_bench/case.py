"""A comparison: the same work by Kelery and by its reference, in turns, and the ratio of the two.

Absolute times differ from machine to machine and from minute to minute; the ratio of two measurements that
were taken in the same minute hardly does. So each round measures both, one after the other, and changes their
order.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

#: One round's figures by name, such as {"p50": 12.1, "p95": 14.0}, in the case's unit.
Figures = Mapping[str, float]
Measure = Callable[[], Figures]
#: Takes a line about how far a benchmark is.
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is compared with what. Both measures return the same names."""

    name: str
    title: str
    reference: str
    unit: str
    ours: Measure
    theirs: Measure
    #: Rounds that count; one more goes before them and warms up.
    rounds: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a case found for one of its figures, round by round."""

    case: str
    figure: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def ratios(self) -> tuple[float, ...]:
        """Kelery's figure in units of its reference's, of each round."""
        return tuple(ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)


def compare(case: Case, *, report: Report = lambda line: None) -> list[Comparison]:
    """Measure it; `report` gets a line for each round."""
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
