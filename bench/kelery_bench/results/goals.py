"""The goals of the ratios, for any machine. A figure without a goal is shown for information."""

from __future__ import annotations

from collections.abc import Mapping

from kelery_bench.results.bounds import Bound, at_least, at_most, within

#: By case and figure.
GOALS: Mapping[tuple[str, str], Bound] = {
    ("taskrun-latency", "p50"): at_most(1.6),
    ("taskrun-throughput", "rate"): at_least(0.55),
    ("rest-latency", "p50"): at_most(1.5),
    ("rest-throughput", "rate"): at_least(0.7),
    ("hand-over", "p50"): at_most(2.0),
    ("hand-over-flat", "p50"): at_most(1.2),
    ("worker-overhead", "time"): at_most(1.03),
    ("worker-overhead", "cpu"): at_most(1.03),
    ("cancel", "p50"): at_most(4.0),
    ("ledger", "rate"): at_least(0.5),
    ("ledger-keys", "rate"): within(0.8, 1.25),
    ("operator-cost", "cpu_ms"): at_most(0.5),
    ("operator-cost", "cpu_ms_and_deleted"): at_most(0.5),
    ("operator-cost", "writes"): at_most(0.5),
    ("operator-cost", "writes_and_deleted"): at_most(0.5),
    ("operator-cost-burst", "cpu_ms"): at_most(0.5),
    ("operator-cost-burst", "writes"): at_most(0.5),
    ("operator-start", "ready_seconds"): at_most(1.2),
    ("operator-start", "ready_mib"): at_most(1.2),
    ("operator-start", "steady_mib"): at_most(1.2),
    # On a cluster: a hundred times faster, fifty times as many.
    ("job-latency", "p50"): at_most(0.01),
    ("job-throughput", "rate"): at_least(50.0),
}
