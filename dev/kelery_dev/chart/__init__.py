"""What development of the Helm chart needs: Helm itself, and the README's table of values."""
