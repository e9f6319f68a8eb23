"""Parts that all controllers share: scope, work queue, outage, watchdog, health, metrics."""
