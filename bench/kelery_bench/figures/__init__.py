"""Reads single figures: times, processor time, stored bytes."""
