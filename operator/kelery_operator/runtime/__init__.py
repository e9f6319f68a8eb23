"""What every controller of the operator needs: scope, work queue, outage, watchdog, health, metrics."""
