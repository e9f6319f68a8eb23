"""The operator: submits TaskRuns to the ledger, and writes the outcome to their status."""
