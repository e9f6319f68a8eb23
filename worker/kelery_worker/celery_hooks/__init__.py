"""The hooks in the worker's main process; each module hooks into one place of Celery."""
