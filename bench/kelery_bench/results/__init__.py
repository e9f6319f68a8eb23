"""The results of a benchmark: ratios, goals, limits, and their output."""
