"""Whoever waits for a run learns of its changes: long polls and event streams."""
