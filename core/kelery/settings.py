"""Settings that all components share: where the ledger is, and how leases work.

Plain data; `kelery.options` reads them. Invariant: no repr shows the Redis URL, which may hold a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

#: A namespace name, for `fullmatch`. JSON Schema needs the anchors.
NAMESPACE_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The timers of leases, in seconds on one process's monotonic clock; all follow from `seconds`.

    A worker that cannot renew kills its runs with a key (`self_fence`) well before an observer may reclaim
    them (`stand_still`). The gap also covers clocks that run at different rates.
    """

    seconds: float = 15

    @property
    def renew_every(self) -> float:
        """The interval between renewals."""
        return self.seconds / 6

    @property
    def self_fence(self) -> float:
        """The time since the last good renewal was sent after which runs with a key are killed."""
        return self.seconds * 2 / 3

    @property
    def stand_still(self) -> float:
        """How long an observer must see an unchanged lease before it reclaims the run."""
        return self.seconds * 0.9

    @property
    def give_up(self) -> float:
        """How long a stopping worker waits for an unavailable ledger."""
        return self.seconds * 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """Where the ledger is, and what must be the same in all components."""

    #: May hold a password, so the repr does not show it.
    redis_url: str = field(repr=False)
    #: The prefix of all ledger keys.
    prefix: str = "kelery"
    #: The queue of runs without `spec.queue`.
    default_queue: str = "celery"
    #: The `global_keyprefix` in the workers' broker transport options, if it is set.
    broker_key_prefix: str = ""
    lease: Lease = Lease()

    def queue_key(self, queue: str) -> str:
        """The Redis list behind a Celery queue."""
        return f"{self.broker_key_prefix}{queue}"
