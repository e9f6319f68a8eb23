"""Status writes: coalesced, bounded, the newest wins."""
