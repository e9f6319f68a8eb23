"""`make demo`: the examples on a whole stack, and what becomes of them."""
