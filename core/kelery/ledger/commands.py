"""The calls of the ledger, without a connection: the words to send to Redis, and the parser of the reply.

A `Call` is a value. `sync_client.Ledger` and `async_client.Ledger` make it. Every call can be repeated after
a lost reply, because it is idempotent or guarded by the run's fence.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kelery.ledger import records
from kelery.ledger.library import REVISION
from kelery.ledger.types import (
    Cancelled,
    Claim,
    ClaimRefused,
    OnlyIf,
    Outcome,
    Renewals,
    Settled,
    StartRecord,
    Submission,
    SubmissionRefused,
    Submitted,
    TickResult,
    WrittenEvent,
)
from kelery.run.model import CancelMode, Record, Transition
from kelery.run.phases import Phase, Reason

T = TypeVar("T")

_REFUSALS = {"no_room": OnlyIf.ROOM, "name_taken": OnlyIf.FREE_NAME}
Word = str | int | float


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One round trip: the words to send for a prefix, and the parser of the reply."""

    words: Callable[[str], tuple[Word, ...]]
    parse: Callable[[Any], T]


def function(name: str, *args: Word, parse: Callable[[Any], T]) -> Call[T]:
    """A call of a function of the library."""
    return Call(lambda prefix: ("FCALL", f"kelery_v1_{name}", 1, prefix, REVISION, *args), parse)


def submit(submission: Submission) -> Call[Submitted]:
    """Submit a run, and admit it if its key has room. RunConflict if the uid is known with another spec."""
    return function("submit", *_submission_words(submission), parse=_submitted)


def submit_only_if(
    submission: Submission, conditions: Collection[OnlyIf]
) -> Call[Submitted | SubmissionRefused]:
    """`submit`, if all conditions hold or the uid is known. A refused run leaves no data."""

    def parse(reply: Any) -> Submitted | SubmissionRefused:
        if reply[0] in _REFUSALS:
            return SubmissionRefused(because_not=_REFUSALS[reply[0]], other=reply[4])
        return _submitted(reply)

    only_if = ",".join(condition.value for condition in conditions)
    return function("submit", *_submission_words(submission), "only_if", only_if, parse=parse)


def _submission_words(submission: Submission) -> tuple[Word, ...]:
    born = submission.born_final.value if submission.born_final else ""
    return (submission.uid, submission.spec_hash, born, *submission.fields())


def _submitted(reply: Any) -> Submitted:
    word, phase, reason, rev = reply
    return Submitted(new=word == "new", phase=Phase(phase), reason=reason, rev=int(rev))


def claim(
    uid: str, *, attempt: int, worker: str, nonce: str, push: int | None = None
) -> Call[Claim | ClaimRefused]:
    """Claim an admitted attempt for `worker`. A repetition with the same worker and nonce gets the same
    answer; any other claim is refused. A message number `push` from before the submission is refused too.
    """

    def parse(reply: Any) -> Claim | ClaimRefused:
        if reply[0] != "ok":
            return ClaimRefused(why=reply[0])
        _, fence, timeout_ms, grace_ms, keyed, cancel = reply
        return Claim(
            uid=uid,
            fence=int(fence),
            attempt=attempt,
            timeout_seconds=int(timeout_ms) / 1000 if timeout_ms else None,
            grace_seconds=int(grace_ms) / 1000,
            keyed=keyed == "1",
            cancel=cancel,
        )

    number = () if push is None else (push,)
    return function("claim", uid, attempt, worker, nonce, *number, parse=parse)


def renew(worker: str, claims: Sequence[tuple[str, int]]) -> Call[Renewals]:
    """Renew all claims (uid, fence) that are live in the worker. The answer also lists claims left out."""

    def parse(reply: Any) -> Renewals:
        statuses, orphans = reply
        return Renewals(
            statuses=dict(zip(claims, statuses, strict=True)),
            orphans=tuple(zip(orphans[::2], map(int, orphans[1::2]), strict=True)),
        )

    flat = [word for uid, fence in claims for word in (uid, fence)]
    return function("renew", worker, *flat, parse=parse)


def start(uid: str, fence: int, *, pid: int) -> Call[bool]:
    """Ask, in child `pid` just before the task body, whether it may start; True at most once per claim."""
    return function("start", uid, fence, pid, parse=lambda reply: reply == "ok")


def begun(uid: str, fence: int) -> Call[StartRecord | None]:
    """Where the task body of this claim started; None if it did not, or if the claim has ended."""

    def parse(reply: Any) -> StartRecord | None:
        begun_fence, pid, staged_fence = reply
        if begun_fence != str(fence) or not pid:
            return None
        return StartRecord(pid=int(pid), is_staged=staged_fence == begun_fence)

    fields = ("begun_fence", "begun_pid", "staged_fence")
    return Call(lambda prefix: ("HMGET", f"{prefix}:run:{uid}", *fields), parse)


def stage(uid: str, fence: int, outcome: Outcome) -> Call[bool]:
    """Keep the outcome of a task body until the attempt is settled; False if fenced off."""
    return function("stage", uid, fence, *outcome.fields(), parse=lambda reply: reply == "ok")


def settle(uid: str, fence: int, outcome: Outcome) -> Call[Settled]:
    """End the attempt with a final phase or the next attempt. A staged outcome wins over `outcome`."""

    def parse(reply: Any) -> Settled:
        word, phase, reason = reply
        return Settled(verdict=word, phase=Phase(phase) if phase else None, reason=reason)

    return function("settle", uid, fence, *outcome.fields(), parse=parse)


def handback(uid: str, fence: int) -> Call[bool]:
    """Return a claim whose task body never started. The run is Admitted again, with the same attempt.

    False if fenced off, or if the body has started.
    """
    return function("handback", uid, fence, parse=lambda reply: reply == "ok")


def progress(uid: str, fence: int, progress_json: str) -> Call[bool]:
    """Record the progress of a run; False if fenced off."""
    return function("progress", uid, fence, progress_json, parse=lambda reply: reply == "ok")


def cancel(uid: str, mode: CancelMode, reason: Reason, *, message: str = "") -> Call[Cancelled]:
    """Stop a run: at once if no worker has claimed it, else through its worker. No effect on a final run.

    `message` is for people; the first one is kept.
    """
    return function("cancel", uid, mode.value.lower(), reason.value, message, parse=_cancelled)


def delete(uid: str) -> Call[Cancelled]:
    """Remove a run from all lists, and cancel it if it is live (graceful, Deleted). Its record is kept until
    the purge.
    """
    return function("delete", uid, parse=_cancelled)


def _cancelled(reply: Any) -> Cancelled:
    if reply[0] == "gone":
        return Cancelled(known=False, changed=False, phase=None, reason="")
    return Cancelled(known=True, changed=reply[0] == "ok", phase=Phase(reply[1]), reason=reply[2])


def reclaim(uid: str, lease: str) -> Call[bool]:
    """End a claim whose lease expired, if the lease is still "<fence>:<counter>"; False if it has moved."""
    fence, _, counter = lease.partition(":")
    return function("reclaim", uid, fence, counter, parse=lambda reply: reply == "ok")


def tick(*, leases: bool) -> Call[TickResult]:
    """Let due timers act. With `leases`, the answer contains all leases, for the observer."""

    def parse(reply: Any) -> TickResult:
        done, flat = reply
        return TickResult(done=int(done), leases=dict(zip(flat[::2], flat[1::2], strict=True)))

    return function("tick", 1 if leases else 0, parse=parse)


def acknowledge(uid: str, *, retain_seconds: float) -> Call[bool]:
    """The run's last status is written, or its TaskRun is gone: purge the record after `retain_seconds`.
    False if the run is live.
    """
    return function("acknowledge", uid, int(retain_seconds * 1000), parse=lambda reply: reply != "live")


def view(uids: Sequence[str], *, inline_bytes: int) -> Call[list[Record | None]]:
    """The records of `uids`, in the same order; None for an unknown uid. Omits results above the limit."""

    def parse(reply: Any) -> list[Record | None]:
        return [records.parse(uid, values) for uid, values in zip(uids, reply, strict=True)]

    return function("view", inline_bytes, *uids, parse=parse)


def whole_result(uid: str) -> Call[str | None]:
    """The run's result as JSON text, of any size; None if there is none."""
    return Call(lambda prefix: ("HGET", f"{prefix}:run:{uid}", "result"), lambda reply: reply)


def first_waiters(key: str, *, count: int) -> Call[list[str]]:
    """The first `count` uids that wait for a scoped key ("<namespace>/<key>"), in order."""
    return Call(lambda prefix: ("ZRANGE", f"{prefix}:wait:{key}", 0, count - 1), list)


def history(uid: str) -> Call[list[Transition]]:
    """The last 200 changes of the run's phase or reason, oldest first."""
    return Call(
        lambda prefix: ("LRANGE", f"{prefix}:history:{uid}", 0, -1),
        lambda reply: [records.transition(entry) for entry in reply],
    )


def live_uids(cluster: str) -> Call[set[str]]:
    """The uids of `cluster` that are not final."""
    return Call(lambda prefix: ("SMEMBERS", f"{prefix}:live:{cluster}"), set)


def unacknowledged_uids(cluster: str) -> Call[set[str]]:
    """The uids of `cluster` that are final, and whose last status is not acknowledged."""
    return Call(lambda prefix: ("SMEMBERS", f"{prefix}:final:{cluster}"), set)


def events_after(last_id: str, *, block_seconds: float, count: int = 500) -> Call[list[WrittenEvent]]:
    """Changes after `last_id` ("$": from now on). Waits up to `block_seconds` for one. An event is a
    hint; the record is the truth.
    """

    def parse(reply: Any) -> list[WrittenEvent]:
        return [WrittenEvent.read(entry) for _, entries in reply or () for entry in entries]

    def words(prefix: str) -> tuple[Word, ...]:
        block = int(block_seconds * 1000)
        return ("XREAD", "COUNT", count, "BLOCK", block, "STREAMS", f"{prefix}:events", last_id)

    return Call(words, parse)


def last_event_id() -> Call[str]:
    """The id of the newest change, even if it was trimmed since. Read it before all runs, then follow the
    stream from it: no change is missed.
    """
    return function("last_event", parse=str)


def has_event(event_id: str) -> Call[bool]:
    """Whether this change is still in the stream. If so, no later one was trimmed."""
    return Call(lambda prefix: ("XRANGE", f"{prefix}:events", event_id, event_id), bool)


def expire_later(cluster: str, *, uid: str, namespace: str, name: str, due: float) -> Call[None]:
    """Record that a finished TaskRun must be deleted at `due`, in seconds since the epoch."""
    member = f"{uid}|{namespace}|{name}"
    return Call(lambda prefix: ("ZADD", f"{prefix}:ttl:{cluster}", due, member), lambda reply: None)


def expired(cluster: str, *, now: float, count: int = 100) -> Call[list[tuple[str, str, str]]]:
    """Up to `count` TaskRuns (uid, namespace, name) that are due for deletion."""

    def parse(reply: Any) -> list[tuple[str, str, str]]:
        return [(uid, namespace, name) for uid, namespace, name in (m.split("|") for m in reply)]

    return Call(
        lambda prefix: ("ZRANGE", f"{prefix}:ttl:{cluster}", "-inf", now, "BYSCORE", "LIMIT", 0, count), parse
    )


def forget_expired(cluster: str, *, uid: str, namespace: str, name: str) -> Call[None]:
    """Remove the record of `expire_later`."""
    member = f"{uid}|{namespace}|{name}"
    return Call(lambda prefix: ("ZREM", f"{prefix}:ttl:{cluster}", member), lambda reply: None)
