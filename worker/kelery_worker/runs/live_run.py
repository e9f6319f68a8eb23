"""One claimed run in its worker, and the next step for it. Pure; the time is a parameter.

All times are seconds on the main process's monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from kelery.ledger.types import Claim
from kelery.settings import Lease

#: A pool takes a job within milliseconds; after this time the job may be lost.
UNTAKEN_SECONDS = 10.0
#: The interval between repeated SIGKILLs.
KILL_AGAIN_SECONDS = 1.0


class Step(Enum):
    """The next step for a run."""

    WAIT = "wait"
    TERMINATE = "terminate"
    KILL = "kill"
    #: The task no longer executes: kill leftover processes of a stopped run, then settle it.
    SETTLE = "settle"
    #: The run was claimed and never reached the pool.
    HAND_BACK = "hand back"


class Stop(Enum):
    """Why a run is being stopped. The first cause stays, except that FENCED replaces any other."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"
    #: No successful renewal for too long: an observer may reclaim the run soon.
    LEASE = "lease"
    #: The ledger has revoked the claim.
    FENCED = "fenced"
    DRAIN = "drain"


@dataclass(slots=True, kw_only=True, eq=False)
class LiveRun:
    """A run between its claim and its settlement; changed only under the table's lock."""

    claim: Claim
    request: Any
    claimed_at: float
    #: When the last successful renewal was sent; the claim counts as a renewal.
    renewed_at: float
    #: The pool's job, once there is one.
    job: Any = None
    pid: int | None = None
    pidfd: int | None = None
    accepted_at: float | None = None
    #: The same time in ticks since boot, as in the process table.
    accepted_ticks: int | None = None
    returned_ticks: int | None = None
    #: Descendants (pid, started) of the child when it was signalled.
    descendants: set[tuple[int, int]] = field(default_factory=set)
    #: The pool did not accept it.
    undispatched: bool = False
    #: The task returned or raised, and the child reported it.
    returned: bool = False
    #: The child is dead.
    dead: bool = False
    #: The error that the task raised; None if it returned.
    error: BaseException | None = None
    stop: Stop | None = None
    #: When SIGKILL follows SIGTERM.
    kill_at: float | None = None
    terminated: bool = False
    killed_at: float | None = None
    #: Celery's own hard limit in seconds, if that stopped the run.
    celery_limit: float | None = None
    #: The pool has lost the run while a child executes it, so Celery will not report its end.
    adopted: bool = False
    #: SETTLE or HAND_BACK, once nothing of the run executes; then the keeper acts.
    ended: Step | None = None

    @property
    def key(self) -> tuple[str, int]:
        """The claim's key in the ledger: uid and fence."""
        return self.claim.uid, self.claim.fence

    @property
    def time_limit(self) -> float | None:
        """The time limit in seconds that applies: Celery's own if that stopped the run."""
        return self.celery_limit if self.celery_limit is not None else self.claim.timeout_seconds

    def ask_to_stop(self, why: Stop, *, now: float, grace: float) -> None:
        """Request a stop within `grace` seconds; never extends an earlier deadline."""
        if self.stop is None:
            self.stop = why
        deadline = now + grace
        self.kill_at = deadline if self.kill_at is None else min(self.kill_at, deadline)

    def fence_off(self, *, now: float) -> None:
        """The claim was revoked: the task must end, and its outcome does not count."""
        self.stop = Stop.FENCED
        self.ask_to_stop(Stop.FENCED, now=now, grace=0)

    def look(self, *, now: float, lease: Lease) -> None:
        """Check the time limits that depend on the clock alone."""
        time_up = self._time_up_at()
        if time_up is not None and now >= time_up:
            self.ask_to_stop(Stop.TIMEOUT, now=now, grace=self.claim.grace_seconds)
        if self.claim.keyed and now >= self.renewed_at + lease.self_fence:
            self.ask_to_stop(Stop.LEASE, now=now, grace=0)

    def next_step(self, *, now: float) -> Step:
        """The step to take now; defined for every state."""
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
        """If a child starts it later, the ledger refuses."""
        if self.stop is Stop.FENCED:
            return Step.SETTLE
        is_untaken = self.undispatched or self.stop is Stop.DRAIN or now >= self.claimed_at + UNTAKEN_SECONDS
        return Step.HAND_BACK if is_untaken else Step.WAIT

    def due(self, *, lease: Lease) -> float | None:
        """The time of the next check, if nothing happens before; None for no check."""
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
