"""Keeps child processes running, and stops them with their parent."""
