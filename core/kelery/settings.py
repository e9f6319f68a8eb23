"""What all parts must agree on: where the ledger is, and how leases work. Plain data; see `kelery.options`.

Invariant: the Redis URL, which may hold a password, is in no repr.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

#: The name of a namespace, for `fullmatch`; JSON Schema needs the ends marked too.
NAMESPACE_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The clockwork of leases, all from `seconds`; every figure is a duration on one process's monotonic
    clock.

    A worker that cannot renew kills its keyed runs (`self_fence`) well before an observer may take its claims
    (`stand_still`); the gap also covers clocks that run at different rates.
    """

    seconds: float = 15

    @property
    def renew_every(self) -> float:
        """How often a worker renews."""
        return self.seconds / 6

    @property
    def self_fence(self) -> float:
        """Since the last good renewal was sent: keyed runs are killed."""
        return self.seconds * 2 / 3

    @property
    def stand_still(self) -> float:
        """How long an observer must see a lease stand still before it reclaims."""
        return self.seconds * 0.9

    @property
    def give_up(self) -> float:
        """How long a worker that is to end waits for a ledger that is away: nobody can hear of its runs."""
        return self.seconds * 4


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerSettings:
    """Where the ledger is, and what all components must agree on."""

    #: May hold a password, so it stays out of the repr.
    redis_url: str = field(repr=False)
    #: Before every key.
    prefix: str = "kelery"
    #: For runs that name none.
    default_queue: str = "celery"
    #: The workers' `global_keyprefix`, if their broker options set one.
    broker_key_prefix: str = ""
    lease: Lease = Lease()

    def queue_key(self, queue: str) -> str:
        """The Redis list behind a Celery queue."""
        return f"{self.broker_key_prefix}{queue}"
