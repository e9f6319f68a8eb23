"""Reduces many times to a few percentiles."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

_SHOWN = (50, 95)


def percentiles(seconds: Sequence[float], *, shown: Sequence[int] = _SHOWN) -> dict[str, float]:
    """The median and the 95th percentile, or the given ones, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {f"p{percent}": cuts[percent - 1] * 1000 for percent in shown}
