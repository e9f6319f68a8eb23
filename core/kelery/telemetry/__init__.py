"""Logs of operator and gateway. Never injected into users' images."""
