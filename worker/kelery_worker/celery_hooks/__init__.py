"""Where Celery calls the plug-in in the main process: each module hooks into one place."""
