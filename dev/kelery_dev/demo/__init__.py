"""`make demo`: runs the examples on a whole stack."""
