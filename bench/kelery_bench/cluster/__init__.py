"""Measures a Kelery that is installed on somebody's cluster beside that cluster's own Jobs."""
