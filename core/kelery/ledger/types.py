"""The types of the ledger's arguments and replies."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from kelery.run.model import Concurrency, Retry, RunSpec
from kelery.run.phases import Phase, Reason
from kelery.run.run_message import RunMessage


class OnlyIf(str, Enum):
    """A condition for accepting a submission."""

    #: The run's key has a free slot and no waiters.
    ROOM = "room"
    #: No live run in the namespace has the same name.
    FREE_NAME = "free_name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A new run, as the ledger receives it."""

    uid: str
    cluster: str
    namespace: str
    name: str
    #: "TaskRun" or "REST"
    origin: str
    spec: RunSpec
    #: The user's spec as JSON text, which the gateway shows.
    spec_json: str
    #: The hash of the immutable fields. The same uid with another hash is a conflict.
    spec_hash: str
    #: The queue (the default queue if the spec names none), and its Redis list.
    queue: str
    queue_key: str
    run_message: RunMessage
    #: If set, the run ends at once with this reason (CancelledAtCreate, CancelledByUser, SpecTooLarge,
    #: SpecInvalid). It is recorded like any other run.
    born_final: Reason | None = None
    #: The error of a run that is born final.
    error_json: str = ""
    #: How long the record is kept after the end. None: until the operator acknowledges the last status.
    retain_seconds: int | None = None
    #: The user who requested it; "" if unknown.
    requester: str = ""

    def fields(self) -> tuple[str | int, ...]:
        """The fields and values of the record, as a flat sequence."""
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
    """The state of the run after its submission. `new` is False if the uid was known."""

    new: bool
    phase: Phase
    reason: str
    rev: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionRefused:
    """The run was refused because this condition did not hold. `other` is the uid of the run in the way."""

    because_not: OnlyIf
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A worker's right to execute one attempt, while it renews the lease."""

    uid: str
    fence: int
    attempt: int
    timeout_seconds: float | None
    grace_seconds: float
    #: Another run may wait for its slot, so it must not outlive its lease.
    keyed: bool
    #: "", "graceful" or "force": a cancel that came before the reply of the claim.
    cancel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRefused:
    """There is nothing to run, and the message can be acknowledged."""

    why: Literal["stale", "final", "gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRecord:
    """Where a task body started, and whether it has staged its outcome, which is its last step."""

    #: The process on the worker's machine.
    pid: int
    is_staged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewals:
    """The reply to one renewal of a worker's claims."""

    #: (uid, fence) -> "ok", "graceful" or "force" (a cancel), or "fenced" (the claim has ended)
    statuses: dict[tuple[str, int], str]
    #: Claims of this worker that the call did not name.
    orphans: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended. JSON fields are opaque text to the ledger."""

    kind: Literal["succeeded", "failed", "retry"]
    reason: Reason = Reason.COMPLETED
    result_json: str = ""
    error_json: str = ""
    error_type: str = ""
    #: The message of the next attempt, if the task itself requested a retry.
    run_message: RunMessage | None = None
    delay_seconds: float = 0

    def fields(self) -> tuple[str | int, ...]:
        """The fields and values as a flat sequence, without empty ones."""
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
    """`ok`: this call ended the attempt. `already`: it had ended before, with this fence. `fenced`: the claim
    belongs to another fence.
    """

    verdict: Literal["ok", "already", "fenced"]
    phase: Phase | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The state of the run after a cancel. `changed` is False if it was final or already cancelled."""

    known: bool
    changed: bool
    phase: Phase | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TickResult:
    """The number of timers that acted, and all leases: uid -> "<fence>:<counter>"."""

    done: int
    leases: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenEvent:
    """One entry of the event stream."""

    id: str
    uid: str
    rev: int
    phase: Phase
    reason: str
    cluster: str
    key: str

    @classmethod
    def read(cls, entry: Any) -> WrittenEvent:
        """From a stream entry in a Redis reply: [id, [field, value, ...]]."""
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
