"""`kelery dev`: the whole stack on one machine."""
