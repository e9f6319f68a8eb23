"""What a worker owes the ledger for the runs it has claimed: claims, renewals, cancels, settlements."""
