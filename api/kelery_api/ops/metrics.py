"""The gateway's metrics; names begin with kelery_api_, none has a label per run, namespace or user.

Invariant: the number of series is bounded by the routes and by `QUEUES_AT_MOST`, whatever clients send.
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

# Half of all series, and nobody reads them.
disable_created_metrics()  # type: ignore[no-untyped-call]

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Runs name their queues themselves, so who may make runs could make any number of series.
QUEUES_AT_MOST = 200
_LONGEST_QUEUE = 253


class Metrics:
    """One registry per gateway, so that tests may have several in one process; others may add to it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "kelery_api_requests_total",
            "Requests by the route's template, method and class of status",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "kelery_api_request_seconds",
            "Time from a request's head to its answer's first byte, by the route's template and method",
            ["route", "method"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "kelery_api_requests_in_flight",
            "Requests that are being answered, streams among them",
            registry=self.registry,
        )
        self.reclaims = Counter(
            "kelery_api_reclaims_total",
            "Claims of dead workers taken away, by result",
            ["result"],
            registry=self.registry,
        )
        self.ledger_up = Gauge(
            "kelery_api_ledger_up",
            "Whether the ledger answered the last time (1 or 0)",
            registry=self.registry,
        )
        self.queues = QueueMetrics()
        self.registry.register(self.queues)

    def count(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """One request that was answered."""
        known = method if method in _METHODS else "other"
        self.requests.labels(route, known, f"{status // 100}xx").inc()
        self.request_seconds.labels(route, known).observe(seconds)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)


class QueueMetrics(Collector):
    """The queues as they were last shown; one that is no longer shown has no series any more."""

    def __init__(self) -> None:
        self._shown: Sequence[QueueStats] = ()
        self._left_out = 0

    def show(self, queues: Iterable[QueueStats]) -> None:
        """These from now on; of too many, those that workers take from come first."""
        every = sorted(queues, key=lambda stats: (not stats.workers, stats.queue))
        # What a worker says of its queues is its own: any text at all.
        sound = [stats for stats in every if _is_label(stats.queue)]
        self._shown = sound[:QUEUES_AT_MOST]
        self._left_out = len(every) - len(self._shown)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Asks nobody: it runs in the event loop."""
        messages = _by_queue("messages", "Messages that wait in a Celery queue")
        running = _by_queue("running", "Runs of a Celery queue that workers have claimed")
        workers = _by_queue("workers", "Workers that take from a Celery queue")
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
