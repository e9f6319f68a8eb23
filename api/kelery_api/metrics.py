"""The gateway's metrics; names begin with kelery_api_, none has a label per run, namespace or user.

Invariant: the number of series is bounded by the routes, whatever clients send.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

# Half of all series, and nobody reads them.
disable_created_metrics()  # type: ignore[no-untyped-call]

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


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

    def count(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """One request that was answered."""
        known = method if method in _METHODS else "other"
        self.requests.labels(route, known, f"{status // 100}xx").inc()
        self.request_seconds.labels(route, known).observe(seconds)

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)
