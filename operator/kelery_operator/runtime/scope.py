"""Which runs are this operator's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """One cluster, or some of its namespaces."""

    #: Runs in the ledger carry it.
    cluster: str
    #: None of them: the whole cluster.
    namespaces: Sequence[str] = ()

    def has(self, namespace: str) -> bool:
        """Whether the runs of that namespace are ours."""
        return not self.namespaces or namespace in self.namespaces
