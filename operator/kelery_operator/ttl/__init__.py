"""Deletion of finished TaskRuns whose time to live is over."""
