"""The runs that this worker has claimed, their processes, and how they are stopped."""
