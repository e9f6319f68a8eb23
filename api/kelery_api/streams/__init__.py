"""Notifies long polls and event streams of the changes of a run."""
