"""The gateway's metrics. Names begin with kelery_api_; no label is per run, namespace or user.

Invariant: routes and `QUEUES_AT_MOST` bound the number of series, no matter what clients send.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from kelery_api.ops.workers_and_queues import QueueStats

# They would be half of all series, and nobody uses them.
disable_created_metrics()  # type: ignore[no-untyped-call]

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: A run can name any queue, so without a limit anyone who creates runs could create any number of series.
QUEUES_AT_MOST = 200
_LONGEST_QUEUE = 253


class Metrics:
    """The metrics of one gateway, in a registry of their own, so that a process can have several gateways."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "kelery_api_requests_total",
            "Requests by route template, method and status class",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "kelery_api_request_seconds",
            "Time from the request's headers to the first byte of the response, by route template and method",
            ["route", "method"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "kelery_api_requests_in_flight",
            "Requests in progress, including streams",
            registry=self.registry,
        )
        self.reclaims = Counter(
            "kelery_api_reclaims_total",
            "Expired leases of workers, by result: taken (reclaimed) or moved (renewed in the meantime)",
            ["result"],
            registry=self.registry,
        )
        self.ledger_up = Gauge(
            "kelery_api_ledger_up",
            "1 if the ledger responded to the last call, else 0",
            registry=self.registry,
        )
        self.queues = QueueMetrics()
        self.registry.register(self.queues)

    def count(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """Count a finished request."""
        known = method if method in _METHODS else "other"
        self.requests.labels(route, known, f"{status // 100}xx").inc()
        self.request_seconds.labels(route, known).observe(seconds)

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self.registry)


class QueueMetrics(Collector):
    """The metrics of the queues in the last call of `show`. Other queues have no series."""

    def __init__(self) -> None:
        self._shown: Sequence[QueueStats] = ()
        self._left_out = 0

    def show(self, queues: Iterable[QueueStats]) -> None:
        """Replace the queues. Beyond the limit, queues with workers take precedence."""
        every = sorted(queues, key=lambda stats: (not stats.workers, stats.queue))
        # Workers report the names of their queues, which can be any text.
        sound = [stats for stats in every if _is_label(stats.queue)]
        self._shown = sound[:QUEUES_AT_MOST]
        self._left_out = len(every) - len(self._shown)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Called in the event loop, so it does no I/O."""
        messages = _by_queue("messages", "Messages waiting in a Celery queue")
        running = _by_queue("running", "Runs of a Celery queue that workers have claimed")
        workers = _by_queue("workers", "Workers that consume from a Celery queue")
        for stats in self._shown:
            messages.add_metric([stats.queue], stats.queued)
            running.add_metric([stats.queue], stats.running)
            workers.add_metric([stats.queue], stats.workers)
        yield from (messages, running, workers)
        yield GaugeMetricFamily(
            "kelery_api_queues_left_out", "Queues without series of their own", value=self._left_out
        )


def _is_label(queue: str) -> bool:
    return len(queue) <= _LONGEST_QUEUE and queue.isprintable()


def _by_queue(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"kelery_api_queue_{name}", text, labels=["queue"])
