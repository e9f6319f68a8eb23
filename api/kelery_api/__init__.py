"""The gateway: the REST API to the ledger."""
