"""The work that the cases measure."""
