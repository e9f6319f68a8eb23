"""The gateway: runs over HTTP, on the same ledger as those of kubectl."""
