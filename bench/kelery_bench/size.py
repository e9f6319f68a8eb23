"""The size of a benchmark: a rough check, or enough for published figures."""

from __future__ import annotations

import enum
from typing import TypeVar

Value = TypeVar("Value")


class Size(enum.Enum):
    """QUICK is for CI: all quick cases together need two minutes at most."""

    QUICK = "quick"
    FULL = "full"

    def pick(self, *, quick: Value, full: Value) -> Value:
        """The value for this size."""
        return quick if self is Size.QUICK else full
