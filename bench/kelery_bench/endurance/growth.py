"""Whether something grows: a straight line through what was seen after the warm-up. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

#: What may look like growth and is none: memory of one size more, a heap that is fragmented by chance.
_TOLERATED_SHARE = 0.05
_TOLERATED_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How the memory of one part went on after the warm-up."""

    part: str
    first: float
    last: float
    #: Bytes for each run that ended.
    per_run: float
    #: How many ended in that time.
    runs: int

    @property
    def total(self) -> float:
        return self.per_run * self.runs

    @property
    def is_bounded(self) -> bool:
        """Whether it stayed within what chance explains."""
        return self.total <= max(_TOLERATED_BYTES, _TOLERATED_SHARE * self.first)


def growth_of(part: str, *, runs: Sequence[int], sizes: Sequence[float]) -> Growth:
    """The growth over the runs that had ended when each of the sizes was seen."""
    slope, intercept = statistics.linear_regression([float(number) for number in runs], sizes)
    first, last = (slope * number + intercept for number in (runs[0], runs[-1]))
    return Growth(part=part, first=first, last=last, per_run=slope, runs=runs[-1] - runs[0])
