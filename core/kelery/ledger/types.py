"""What is said to the ledger and what it answers, as records."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from kelery.run.model import Concurrency, Retry, RunSpec
from kelery.run.phases import Phase, Reason
from kelery.run.run_message import RunMessage


class OnlyIf(str, Enum):
    """What must hold for a submission to be taken."""

    #: Its key has room, and nobody waits for it.
    ROOM = "room"
    #: No live run of its namespace has its name.
    FREE_NAME = "free_name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A run on its way into the ledger."""

    uid: str
    cluster: str
    namespace: str
    name: str
    #: "TaskRun" or "REST"
    origin: str
    spec: RunSpec
    #: The spec as the user wrote it, JSON text; what the gateway shows.
    spec_json: str
    #: Over what may not change; the same uid with another hash is a conflict.
    spec_hash: str
    #: The queue after the default was applied, and the Redis list behind it.
    queue: str
    queue_key: str
    run_message: RunMessage
    #: Ends it at once with this reason (CancelledAtCreate, SpecTooLarge, SpecInvalid), recorded like any
    #: other run.
    born_final: Reason | None = None
    #: Why, when it is born final.
    error_json: str = ""
    #: How long its record is kept after the end; None: until its operator acknowledges the last status.
    retain_seconds: int | None = None
    #: Who asked for it; "" if that is not known here.
    requester: str = ""

    def fields(self) -> tuple[str | int, ...]:
        """The record's fields and values, flat."""
        concurrency = self.spec.concurrency
        limits = concurrency or Concurrency(key="")
        retry = self.spec.retry or Retry()
        pairs: dict[str, str | int | None] = {
            "cluster": self.cluster,
            "ns": self.namespace,
            "name": self.name,
            "origin": self.origin,
            "task": self.spec.task,
            "queue": self.queue,
            "queue_key": self.queue_key,
            "spec": self.spec_json,
            "message_head": self.run_message.head,
            "message_tail": self.run_message.tail,
            "key": f"{self.namespace}/{limits.key}" if concurrency else "",
            "limit": limits.limit,
            "policy": limits.policy.value,
            "max_queue_ms": _milliseconds(limits.max_queue_seconds),
            "priority": self.spec.priority,
            "max_attempts": retry.max_attempts,
            "backoff_ms": retry.backoff_seconds * 1000,
            "max_backoff_ms": retry.max_backoff_seconds * 1000,
            "retry_on": ",".join(reason.value for reason in retry.reasons),
            "timeout_ms": _milliseconds(self.spec.timeout_seconds),
            "grace_ms": self.spec.cancel_grace_period_seconds * 1000,
            "retain_ms": _milliseconds(self.retain_seconds),
            "requester": self.requester or None,
            "error": self.error_json,
        }
        return _flat(pairs)


def _flat(pairs: dict[str, str | int | None]) -> tuple[str | int, ...]:
    return tuple(word for field, value in pairs.items() if value is not None for word in (field, value))


def _milliseconds(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """Where the run stands after its submission; `new` is False if it was known."""

    new: bool
    phase: Phase
    reason: str
    rev: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionRefused:
    """The run was not taken, since this did not hold; `other` is the uid of a run in the way."""

    because_not: OnlyIf
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker's right to run one attempt, for as long as it renews it."""

    uid: str
    fence: int
    attempt: int
    timeout_seconds: float | None
    grace_seconds: float
    #: Somebody may wait for its slot: it must not outlive its lease.
    keyed: bool
    #: "", "graceful" or "force": asked to stop before the answer of the claim arrived.
    cancel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRefused:
    """There is nothing to run; the message may go."""

    why: Literal["stale", "final", "gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRecord:
    """Where a task body has begun, and whether it has ended since: it stages its outcome last."""

    #: On the worker's machine.
    pid: int
    is_staged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewals:
    """The answer to one renewal of a worker's claims."""

    #: (uid, fence) -> "ok", "graceful", "force" (asked to stop) or "fenced" (no longer ours)
    statuses: dict[tuple[str, int], str]
    #: Claims of this worker that it did not name.
    orphans: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended. JSON fields are text; the ledger does not look into them."""

    kind: Literal["succeeded", "failed", "retry"]
    reason: Reason = Reason.COMPLETED
    result_json: str = ""
    error_json: str = ""
    error_type: str = ""
    #: The message of the next attempt, when the task itself asked for a retry.
    run_message: RunMessage | None = None
    delay_seconds: float = 0

    def fields(self) -> tuple[str | int, ...]:
        """The fields and values, flat; those that are empty are left out."""
        pairs: dict[str, str | int | None] = {
            "kind": self.kind,
            "reason": self.reason.value,
            "result": self.result_json or None,
            "error": self.error_json or None,
            "error_type": self.error_type or None,
            "head": self.run_message.head if self.run_message else None,
            "tail": self.run_message.tail if self.run_message else None,
            "delay_ms": max(0, int(self.delay_seconds * 1000)) if self.kind == "retry" else None,
        }
        return _flat(pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """`ok`: this call ended the attempt; `already`: it had ended under this fence; `fenced`: it is not ours
    to end.
    """

    verdict: Literal["ok", "already", "fenced"]
    phase: Phase | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """Where the run stands after a cancel; `changed` is False if it was final or asked before."""

    known: bool
    changed: bool
    phase: Phase | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TickResult:
    """How many timers acted, and the leases as they stand: uid -> "<fence>:<counter>"."""

    done: int
    leases: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenEvent:
    """One entry of the stream of changes."""

    id: str
    uid: str
    rev: int
    phase: Phase
    reason: str
    cluster: str
    key: str

    @classmethod
    def read(cls, entry: Any) -> WrittenEvent:
        """From a stream entry as Redis answers it: [id, [field, value, ...]]."""
        entry_id, flat = entry
        fields = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
        return cls(
            id=entry_id,
            uid=fields["uid"],
            rev=int(fields["rev"]),
            phase=Phase(fields["phase"]),
            reason=fields["reason"],
            cluster=fields["cluster"],
            key=fields["key"],
        )
