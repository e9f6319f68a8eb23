"""Whether memory grows: a linear regression of the samples after the warm-up. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

#: Growth that is tolerated, such as one more arena or a fragmented heap.
_TOLERATED_SHARE = 0.05
_TOLERATED_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """The memory of one part after the warm-up, in bytes."""

    part: str
    first: float
    last: float
    #: Bytes per ended run.
    per_run: float
    #: The number of runs that ended in that time.
    runs: int

    @property
    def total(self) -> float:
        return self.per_run * self.runs

    @property
    def is_bounded(self) -> bool:
        """Whether the growth is within the tolerance."""
        return self.total <= max(_TOLERATED_BYTES, _TOLERATED_SHARE * self.first)


def growth_of(part: str, *, runs: Sequence[int], sizes: Sequence[float]) -> Growth:
    """The growth; `runs[i]` had ended when `sizes[i]` was sampled."""
    slope, intercept = statistics.linear_regression([float(number) for number in runs], sizes)
    first, last = (slope * number + intercept for number in (runs[0], runs[-1]))
    return Growth(part=part, first=first, last=last, per_run=slope, runs=runs[-1] - runs[0])
