"""Each test's processes carry a mark."""

from tests.support.marked_processes import marked

__all__ = ["marked"]
