"""The model of a run, its phases, and its Celery message."""
