"""The operator's metrics. Names start with kelery_operator_; no metric has a label for a run."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_FAST = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The metrics of one operator, in a registry of their own, so that one process can have several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = self._counter("watch_events_total", "Watch events, by kind", "kind")
        self.actions = self._counter("actions_total", "Actions, by kind", "kind")
        self.writes = self._counter(
            "status_writes_total", "Status writes, by the HTTP status of the answer", "answer"
        )
        self.failures = self._counter("run_failures_total", "Failures to handle one run, by error", "error")
        self.resyncs = self._counter(
            "resyncs_total", "Comparisons of ledger and cluster, by result", "result"
        )
        self.checks = self._counter(
            "looks_total", "Checks whether a TaskRun that left the watch still exists, by result", "result"
        )
        self.reclaims = self._counter(
            "reclaims_total", "Attempts to reclaim a run of a dead worker, by result", "result"
        )
        self.expired = self._counter(
            "expired_total", "Finished TaskRuns whose time to live is over, by result", "result"
        )
        self.write_seconds = Histogram(
            "kelery_operator_status_write_seconds",
            "Duration of status writes",
            buckets=_FAST,
            registry=self.registry,
        )
        self.round_seconds = Histogram(
            "kelery_operator_round_seconds",
            "Duration of a round, which handles a batch of changed runs",
            buckets=_FAST,
            registry=self.registry,
        )
        self.taskruns = self._gauge("taskruns", "Unfinished TaskRuns")
        self.queued = self._gauge("queue_length", "Runs in the work queue")
        self.queue_age = self._gauge("queue_oldest_seconds", "Age of the oldest run in the work queue")
        self.unsent = self._gauge("status_writes_unsent", "Status writes that are pending or in flight")
        self.ledger_up = self._gauge(
            "ledger_up", "1 if the last call of the ledger got an answer, otherwise 0"
        )

    def text(self) -> bytes:
        """All metrics, in the text format of Prometheus."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, label: str) -> Counter:
        return Counter(f"kelery_operator_{name}", text, [label], registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"kelery_operator_{name}", text, registry=self.registry)
