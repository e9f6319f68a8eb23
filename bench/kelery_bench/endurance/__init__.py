"""Endurance tests that users start: soak and storm."""
