"""Benchmarks: compares Kelery with references, in one run on one machine."""
