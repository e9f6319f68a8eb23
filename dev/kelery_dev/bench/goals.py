"""What the ratios are to be, on any machine. A figure without a goal is shown for information."""

from __future__ import annotations

from collections.abc import Mapping

from kelery_dev.bench.bounds import Bound, at_least, at_most

#: By case and figure.
GOALS: Mapping[tuple[str, str], Bound] = {
    ("taskrun-latency", "p50"): at_most(1.6),
    ("taskrun-throughput", "rate"): at_least(0.55),
}
