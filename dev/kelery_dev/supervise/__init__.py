"""Keeps child processes up, and takes them down with their parent."""
