"""Tracks whether the ledger answers, and the duration of an outage."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from kelery.errors import LedgerUnavailable
from kelery_operator.runtime.metrics import Metrics

logger = logging.getLogger("kelery.operator")


class Outage:
    """The state of the ledger for the reconciler. `on_recovery` is called when an outage ends."""

    def __init__(self, *, metrics: Metrics, on_recovery: Callable[[], None]) -> None:
        self._metrics = metrics
        self._on_recovery = on_recovery
        self._since: float | None = None

    @property
    def ledger_answers(self) -> bool:
        """Whether the last call of the ledger got an answer."""
        return self._since is None

    def lasts(self, error: LedgerUnavailable) -> float:
        """Note that the ledger did not answer; returns the duration of the outage in seconds."""
        now = time.monotonic()
        self._metrics.ledger_up.set(0)
        if self._since is None:
            self._since = now
            logger.warning("the ledger does not answer; retrying: %s", error)
        return now - self._since

    def ends(self) -> None:
        """Note that the ledger answered."""
        self._metrics.ledger_up.set(1)
        if self._since is not None:
            logger.warning(
                "the ledger answers again", extra={"seconds": round(time.monotonic() - self._since)}
            )
            self._since = None
            self._on_recovery()
