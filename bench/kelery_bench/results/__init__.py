"""What a benchmark found: ratios, goals, limits, and how they are shown."""
