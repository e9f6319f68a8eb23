"""What any controller needs, whatever it controls: work queue, watchdog, health, metrics."""
