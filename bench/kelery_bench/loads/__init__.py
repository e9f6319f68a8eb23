"""The work that cases measure."""
