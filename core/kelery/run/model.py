"""The data of a run: frozen, without I/O, and without the camelCase of manifests.

Invariant: no component changes a number or loses a null of a user's JSON. `RunSpec` has args and kwargs as
Python values; everything after it has JSON text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from kelery.run.phases import RETRYABLE_REASONS, Phase, Reason


class Policy(str, Enum):
    """What a run does if its key has no free slot."""

    QUEUE = "Queue"
    QUEUE_LATEST = "QueueLatest"
    REJECT = "Reject"
    REPLACE = "Replace"


class CancelMode(str, Enum):
    """How a run is stopped. It can change from GRACEFUL to FORCE only."""

    GRACEFUL = "Graceful"
    FORCE = "Force"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """At most `limit` runs of `key` are admitted at once. The smallest limit applies among the holders and
    this run.
    """

    key: str
    limit: int = 1
    policy: Policy = Policy.QUEUE
    #: Seconds from submission to the first claim, then Failed/QueueTimeout. None: unlimited.
    max_queue_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How many attempts a run has, and after which reasons. It keeps its slot between attempts."""

    max_attempts: int = 1
    backoff_seconds: int = 5
    max_backoff_seconds: int = 300
    reasons: tuple[Reason, ...] = RETRYABLE_REASONS


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """The spec of a run. Immutable except for `cancel` and `ttl_seconds_after_finished`."""

    task: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    #: The Celery queue. None: the installation's default.
    queue: str | None = None
    #: Among the runs that wait for one key, the highest is admitted first, then the oldest.
    priority: int = 0
    concurrency: Concurrency | None = None
    #: For each attempt. None: unlimited.
    timeout_seconds: int | None = None
    retry: Retry | None = None
    cancel: CancelMode | None = None
    #: Between SIGTERM and SIGKILL.
    cancel_grace_period_seconds: int = 30
    ttl_seconds_after_finished: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One ended attempt. Times are microseconds of the ledger's clock, and informational."""

    attempt: int
    reason: str
    error_type: str
    worker: str
    fence: int
    started: int | None
    finished: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The ledger's record of a run. `rev` grows with each change, and a lower one never replaces a higher.

    Times are microseconds since the epoch, from the clock of the Redis server. JSON fields are text.
    """

    uid: str
    phase: Phase
    reason: str
    rev: int
    attempt: int
    #: 0 before the first claim.
    fence: int
    #: "<node name>/<boot nonce>" of the worker of the current or last attempt, or "".
    worker: str
    cluster: str
    namespace: str
    name: str
    origin: str
    #: Scoped: "<namespace>/<key>", or "" without a limit.
    key: str
    limit: int
    queue: str
    task: str
    queued_at: int | None
    admitted_at: int | None
    started_at: int | None
    finished_at: int | None
    #: When the next attempt is due, during a back-off.
    due: int | None
    #: "", "graceful" or "force".
    cancel: str
    cancel_reason: str
    #: The text that was given with the cancel, or "".
    cancel_message: str
    #: {"current", "total", "message"}
    progress_json: str
    #: {"type", "message", "traceback"}
    error_json: str
    #: The spec as submitted.
    spec_json: str
    result_bytes: int
    #: Also "" if it is larger than the caller requested; see `result_bytes`.
    result_json: str
    #: 1 is next; 0 if it does not wait.
    position: int
    attempts: tuple[Attempt, ...]
    #: While it waits, the names of up to five holders.
    held_by: tuple[str, ...]
    #: The user who submitted it through the gateway; "" without authentication.
    requester: str
    #: Deleted through the gateway. It is hidden, and may still execute.
    is_deleted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of a run's phase or reason; `at` is microseconds since the epoch."""

    rev: int
    phase: Phase
    reason: str
    attempt: int
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """The fields by which lists are filtered. The run's `Record` has them too."""

    uid: str
    name: str
    phase: Phase
    reason: str
    task: str
    #: Scoped, or "".
    key: str
    #: When it was submitted and when it got its slot, microseconds since the epoch.
    queued_at: int
    admitted_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueUse:
    """A Celery queue: its messages, including plain Celery ones, and its claimed runs."""

    queue: str
    messages: int
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPresence:
    """A worker's last report about itself. `claims` are the uids of its runs."""

    worker: str
    info_json: str
    silent_seconds: float
    claims: tuple[str, ...]
