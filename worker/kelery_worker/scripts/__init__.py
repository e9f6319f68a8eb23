"""Standalone programs that import nothing of Kelery, so that a broken or killed worker does not stop them."""
