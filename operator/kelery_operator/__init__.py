"""The operator: TaskRuns in, runs of the ledger out, and back again as status."""
