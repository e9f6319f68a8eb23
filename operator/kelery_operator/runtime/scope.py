"""Which runs an operator handles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A cluster, or some of its namespaces."""

    #: The identity of the cluster in the records of the ledger.
    cluster: str
    #: Empty means the whole cluster.
    namespaces: Sequence[str] = ()

    def has(self, namespace: str) -> bool:
        """Whether this operator handles the runs of the namespace."""
        return not self.namespaces or namespace in self.namespaces
