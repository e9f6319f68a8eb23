"""Monitoring of the gateway and its ledger: health, metrics, queues, workers, keys."""
