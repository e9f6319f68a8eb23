"""Status writes: coalesced, with limited concurrency; the newest status wins."""
