"""Kelery: Celery tasks as Kubernetes resources. This package is what gateway, operator and worker share."""

__version__ = "0.1.0"
