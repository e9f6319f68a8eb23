"""Benchmarks an installation on a cluster: compares TaskRuns with Jobs."""
