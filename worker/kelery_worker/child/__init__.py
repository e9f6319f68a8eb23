"""The plug-in inside a pool child, around the task body."""
