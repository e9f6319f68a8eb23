"""Reaching the Kubernetes API server: who we are there, and one shared HTTP session.

For operator and gateway only. It needs aiohttp and a YAML parser, so nothing that is put beside a user's own
Celery app imports it.
"""
