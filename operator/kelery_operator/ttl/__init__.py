"""Deletes finished TaskRuns when their time to live is over."""
