"""The operator's metrics; names begin with kelery_operator_, none has a label per run."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_FAST = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """One registry per operator, so that tests may have several in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.events = self._counter("watch_events_total", "Watch events by kind", "kind")
        self.actions = self._counter("actions_total", "Actions taken by kind", "kind")
        self.writes = self._counter("status_writes_total", "Status writes by the answer's status", "answer")
        self.failures = self._counter(
            "run_failures_total", "Rounds over one run that failed, by error", "error"
        )
        self.resyncs = self._counter("resyncs_total", "Comparisons of ledger and cluster by result", "result")
        self.checks = self._counter(
            "looks_total", "Checks for a TaskRun that left the watch, by result", "result"
        )
        self.reclaims = self._counter(
            "reclaims_total", "Claims of dead workers taken away, by result", "result"
        )
        self.expired = self._counter("expired_total", "Finished TaskRuns that came due, by result", "result")
        self.write_seconds = Histogram(
            "kelery_operator_status_write_seconds",
            "Time to write a status",
            buckets=_FAST,
            registry=self.registry,
        )
        self.round_seconds = Histogram(
            "kelery_operator_round_seconds",
            "Time of one round over the runs that changed",
            buckets=_FAST,
            registry=self.registry,
        )
        self.taskruns = self._gauge("taskruns", "TaskRuns that are not finished, as far as seen")
        self.queued = self._gauge("queue_length", "Runs that wait for a look")
        self.queue_age = self._gauge("queue_oldest_seconds", "For how long the oldest of them waits")
        self.unsent = self._gauge("status_writes_unsent", "Status writes that wait or are on their way")
        self.ledger_up = self._gauge("ledger_up", "Whether the ledger answered the last time (1 or 0)")

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, label: str) -> Counter:
        return Counter(f"kelery_operator_{name}", text, [label], registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"kelery_operator_{name}", text, registry=self.registry)
