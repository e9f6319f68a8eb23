"""A textbook kopf operator, the reference for the operator's cost. Do not use it for anything else."""
