"""The TaskRun as Kubernetes JSON: reads and validates its spec, renders its status.

Not injected into users' images.
"""
