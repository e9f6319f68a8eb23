"""A textbook kopf operator: the reference for the operator's cost. Nobody is to use it."""
