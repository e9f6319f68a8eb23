"""What a run is: its model, its phases, and the Celery message that asks a worker to take it."""
