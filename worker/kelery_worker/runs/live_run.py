"""One claimed run as its worker sees it, and what is to be done about it: pure, without a clock of its own.

All times are seconds on the main process's monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from kelery.ledger.types import Claim
from kelery.settings import Lease

#: A pool takes a job within milliseconds; one that it has not taken for this long may be lost in it.
UNTAKEN_SECONDS = 10.0
#: A process that SIGKILL has not ended yet gets it again.
KILL_AGAIN_SECONDS = 1.0


class Step(Enum):
    """What comes next for a run."""

    WAIT = "wait"
    TERMINATE = "terminate"
    KILL = "kill"
    #: Its body no longer executes: sweep what it left behind if it was stopped, then settle.
    SETTLE = "settle"
    #: It was claimed and never reached the pool.
    HAND_BACK = "hand back"


class Stop(Enum):
    """Why a run is being stopped. The first cause stays, but for FENCED: then nothing about it is ours to
    say.
    """

    CANCEL = "cancel"
    TIMEOUT = "timeout"
    #: No good renewal for too long: others may take the slot soon.
    LEASE = "lease"
    #: The ledger says that it is no longer ours.
    FENCED = "fenced"
    DRAIN = "drain"


@dataclass(slots=True, kw_only=True, eq=False)
class LiveRun:
    """A run between its claim and its settling; changed only under the table's lock."""

    claim: Claim
    request: Any
    claimed_at: float
    #: When the last renewal that succeeded was sent; the claim counts as one.
    renewed_at: float
    #: The pool's job, once there is one.
    job: Any = None
    pid: int | None = None
    pidfd: int | None = None
    accepted_at: float | None = None
    #: The same in ticks since boot, as the process table counts.
    accepted_ticks: int | None = None
    returned_ticks: int | None = None
    #: Processes (pid, started) that were below the child when it was signalled.
    descendants: set[tuple[int, int]] = field(default_factory=set)
    #: The pool said that it does not take it.
    undispatched: bool = False
    #: The child gave it back, by returning or raising.
    returned: bool = False
    #: The child is gone.
    dead: bool = False
    #: What the child raised, as the main process saw it; None if it returned.
    error: BaseException | None = None
    stop: Stop | None = None
    #: When SIGTERM turns into SIGKILL.
    kill_at: float | None = None
    terminated: bool = False
    killed_at: float | None = None
    #: Celery's own hard limit, if that is what stopped it.
    celery_limit: float | None = None
    #: The pool has lost sight of it while a child executes it: nobody will report its end.
    adopted: bool = False
    #: SETTLE or HAND_BACK, once nothing of it executes any more: the keeper's turn.
    ended: Step | None = None

    @property
    def key(self) -> tuple[str, int]:
        """The claim, as the ledger knows it."""
        return self.claim.uid, self.claim.fence

    @property
    def time_limit(self) -> float | None:
        """The limit that stopped it, or would: Celery's own if that came first."""
        return self.celery_limit if self.celery_limit is not None else self.claim.timeout_seconds

    def ask_to_stop(self, why: Stop, *, now: float, grace: float) -> None:
        """Note that it has to stop, at the latest after `grace`; never takes an earlier demand back."""
        if self.stop is None:
            self.stop = why
        deadline = now + grace
        self.kill_at = deadline if self.kill_at is None else min(self.kill_at, deadline)

    def fence_off(self, *, now: float) -> None:
        """It is no longer ours: its body has to end, and nobody asks how it ended."""
        self.stop = Stop.FENCED
        self.ask_to_stop(Stop.FENCED, now=now, grace=0)

    def look(self, *, now: float, lease: Lease) -> None:
        """Notice by the clock alone that it has to stop."""
        time_up = self._time_up_at()
        if time_up is not None and now >= time_up:
            self.ask_to_stop(Stop.TIMEOUT, now=now, grace=self.claim.grace_seconds)
        if self.claim.keyed and now >= self.renewed_at + lease.self_fence:
            self.ask_to_stop(Stop.LEASE, now=now, grace=0)

    def next_step(self, *, now: float) -> Step:
        """What to do now; total."""
        if self.returned or self.dead:
            return Step.SETTLE
        if self.pid is None:
            return self._next_step_untaken(now)
        if self.stop is None:
            return Step.WAIT
        if self.kill_at is not None and now >= self.kill_at:
            is_due = self.killed_at is None or now >= self.killed_at + KILL_AGAIN_SECONDS
            return Step.KILL if is_due else Step.WAIT
        return Step.WAIT if self.terminated else Step.TERMINATE

    def _next_step_untaken(self, now: float) -> Step:
        """Should a child begin with it all the same, the ledger says no."""
        if self.stop is Stop.FENCED:
            return Step.SETTLE
        is_untaken = self.undispatched or self.stop is Stop.DRAIN or now >= self.claimed_at + UNTAKEN_SECONDS
        return Step.HAND_BACK if is_untaken else Step.WAIT

    def due(self, *, lease: Lease) -> float | None:
        """When to look again, if nothing happens before."""
        if self.pid is None:
            return self.claimed_at + UNTAKEN_SECONDS
        if self.killed_at is not None:
            return self.killed_at + KILL_AGAIN_SECONDS
        times = [self.kill_at] if self.kill_at is not None else []
        if self.claim.keyed:
            times.append(self.renewed_at + lease.self_fence)
        time_up = self._time_up_at()
        if time_up is not None:
            times.append(time_up)
        return min(times, default=None)

    def _time_up_at(self) -> float | None:
        if self.claim.timeout_seconds is None or self.accepted_at is None or self.stop is not None:
            return None
        return self.accepted_at + self.claim.timeout_seconds
