"""The worker's calls to the ledger for claimed runs: claims, renewals, cancels, settlements."""
