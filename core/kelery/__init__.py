"""Kelery runs Celery tasks as Kubernetes resources. Gateway, operator and worker share this package."""

__version__ = "0.1.0"
