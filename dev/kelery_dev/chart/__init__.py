"""Development tools for the Helm chart: Helm itself, and the tables of values."""
