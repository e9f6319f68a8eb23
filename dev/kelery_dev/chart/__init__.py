"""Development tools for the Helm chart: Helm itself."""
