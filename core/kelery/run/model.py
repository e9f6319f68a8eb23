"""What a run is: inert, frozen records, without I/O and without the camelCase of manifests.

JSON values that belong to users (args, kwargs, results) are kept as Python values in `RunSpec` and as JSON
text everywhere behind it, so that no component between the user and the task changes a number or loses a
null.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from kelery.run.phases import RETRYABLE_REASONS, Phase, Reason


class Policy(str, Enum):
    """What a run does when its key has no room."""

    QUEUE = "Queue"
    QUEUE_LATEST = "QueueLatest"
    REJECT = "Reject"
    REPLACE = "Replace"


class CancelMode(str, Enum):
    """How hard a run is asked to stop; only ever forward, from GRACEFUL to FORCE."""

    GRACEFUL = "Graceful"
    FORCE = "Force"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """At most `limit` runs of `key` are admitted at a time (the smallest limit among the holders and this
    run).
    """

    key: str
    limit: int = 1
    policy: Policy = Policy.QUEUE
    #: From submission to the first claim; then Failed/QueueTimeout.
    max_queue_seconds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a run is attempted, and after which reasons; the slot is kept meanwhile."""

    max_attempts: int = 1
    backoff_seconds: int = 5
    max_backoff_seconds: int = 300
    reasons: tuple[Reason, ...] = RETRYABLE_REASONS


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """What the user asked for; immutable after creation but for `cancel` and `ttl_seconds_after_finished`."""

    task: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    #: Celery queue; None: the installation's default.
    queue: str | None = None
    #: Among the runs that wait for one key: higher first, then first come, first served.
    priority: int = 0
    concurrency: Concurrency | None = None
    #: Per attempt.
    timeout_seconds: int | None = None
    retry: Retry | None = None
    cancel: CancelMode | None = None
    #: Between SIGTERM and SIGKILL.
    cancel_grace_period_seconds: int = 30
    ttl_seconds_after_finished: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One ended attempt. Times are microseconds of the ledger's clock, cosmetic."""

    attempt: int
    reason: str
    error_type: str
    worker: str
    fence: int
    started: int | None
    finished: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the ledger knows about a run. `rev` grows with every change: a lower one is never written over a
    higher.

    Times are microseconds since the epoch by the Redis server's clock. JSON fields are text.
    """

    uid: str
    phase: Phase
    reason: str
    rev: int
    attempt: int
    #: 0 before the first claim.
    fence: int
    #: "<node name>/<boot nonce>" of the worker of the current or last attempt; "" if none.
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
    #: When the next attempt is due, while it backs off.
    due: int | None
    #: "", "graceful" or "force".
    cancel: str
    cancel_reason: str
    #: What who cancelled it had to say; "" if nothing.
    cancel_message: str
    #: {"current", "total", "message"}
    progress_json: str
    #: {"type", "message", "traceback"}
    error_json: str
    #: The TaskRun's spec as submitted.
    spec_json: str
    result_bytes: int
    #: "" also if it is larger than the caller asked for; see `result_bytes`.
    result_json: str
    #: 1 is next; 0 if it does not wait.
    position: int
    attempts: tuple[Attempt, ...]
    #: Names of up to five holders, while it waits.
    held_by: tuple[str, ...]
    #: Who submitted it through the gateway; "" if nobody was asked.
    requester: str
    #: Deleted through the gateway: out of sight, though it may still be on its way out.
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
    """What lists are filtered by; all of it stands in the run's `Record` too."""

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
    """A Celery queue: its messages (plain Celery ones included), and Kelery's runs of it with a worker."""

    queue: str
    messages: int
    running: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPresence:
    """A worker as it last spoke of itself; `claims` are the uids of the runs that it has."""

    worker: str
    info_json: str
    silent_seconds: float
    claims: tuple[str, ...]
