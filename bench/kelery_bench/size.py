"""How much is measured: enough to see that nothing is badly wrong, or enough for figures to be shown."""

from __future__ import annotations

import enum
from typing import TypeVar

Value = TypeVar("Value")


class Size(enum.Enum):
    """QUICK is for CI: all quick cases together take two minutes at most."""

    QUICK = "quick"
    FULL = "full"

    def pick(self, *, quick: Value, full: Value) -> Value:
        """The one that is meant for this size."""
        return quick if self is Size.QUICK else full
