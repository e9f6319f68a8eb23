"""Clients of the measured programs; their own cost is small."""
