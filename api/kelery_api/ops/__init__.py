"""What operators of the gateway look at: health, metrics, queues, workers, keys."""
