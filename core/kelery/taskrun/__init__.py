"""A TaskRun as Kubernetes JSON: its spec read and checked, its status rendered.

Never injected into users' images.
"""
