"""Decides what to do about one run, from its state at one moment. Pure and total: no I/O, clock or exception.

Level-triggered: the decision depends only on the state, so lost, duplicated and late events change nothing.
Invariants: a final run is never cancelled; a run that may have started is never submitted again; nothing is
done while it is unknown whether the TaskRun exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, assert_never

from kelery.errors import SpecTooLarge
from kelery.run.model import CancelMode, Record
from kelery.run.phases import Phase, Reason
from kelery.taskrun import status
from kelery.taskrun.resource import KIND
from kelery_operator.taskrun.actions import (
    Acknowledge,
    Action,
    Cancel,
    ExpireLater,
    Forget,
    Submit,
    Urgency,
    WriteStatus,
)
from kelery_operator.taskrun.run_state import Presence
from kelery_operator.taskrun.snapshot import Snapshot, completed_at

#: How much longer a record is kept than its TaskRun.
RETAIN_MARGIN_SECONDS = 3600.0
#: The `rev` of a status without a record. No other status replaces it.
_LAST_REV = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The state of one run at one moment."""

    presence: Presence
    #: None unless `presence` is PRESENT.
    snapshot: Snapshot | None
    #: None if the ledger has none. Meaningless while `ledger_answers` is False.
    record: Record | None
    ledger_answers: bool
    #: The API server has confirmed the write of the final status, and shows nothing newer.
    final_written: bool
    default_ttl_seconds: int


_DELETED = Cancel(mode=CancelMode.GRACEFUL, reason=Reason.DELETED)


def decide(observation: Observation, *, now: datetime) -> tuple[Action, ...]:
    """The actions, in order; empty if nothing must be done."""
    match observation.presence:
        case Presence.UNKNOWN:
            return ()
        case Presence.GONE:
            return _about_gone(observation)
        case Presence.PRESENT:
            snapshot = observation.snapshot
            return () if snapshot is None else _about_present(observation, snapshot=snapshot, now=now)
    assert_never(observation.presence)


def _about_gone(observation: Observation) -> tuple[Action, ...]:
    record = observation.record
    if not observation.ledger_answers:
        return ()
    if record is None or record.origin != KIND:
        return (Forget(),)
    if record.phase.is_final:
        # Nothing to cancel. The call only removes the run from the gateway's lists.
        return (_DELETED, Acknowledge(retain_seconds=RETAIN_MARGIN_SECONDS), Forget())
    return () if record.cancel else (_DELETED,)


def _about_present(observation: Observation, *, snapshot: Snapshot, now: datetime) -> tuple[Action, ...]:
    if not observation.ledger_answers:
        return _without_ledger(snapshot, now=now)
    record = observation.record
    if record is None:
        return _without_record(observation, snapshot=snapshot, now=now)
    if record.phase.is_final and observation.final_written:
        return _after_final(observation, snapshot=snapshot, record=record)
    rendered = status.render(_as_shown(record), previous=snapshot.status)
    if record.phase.is_final:
        if rendered != snapshot.status:
            return (WriteStatus(status=rendered, rev=record.rev, urgency=Urgency.FINAL),)
        return _after_final(observation, snapshot=snapshot, record=record)
    actions: tuple[Action, ...] = _wanted_cancel(snapshot, record=record)
    if rendered != snapshot.status:
        urgency = _urgency(snapshot.status, rendered=rendered)
        actions += (WriteStatus(status=rendered, rev=record.rev, urgency=urgency),)
    return actions


def _without_ledger(snapshot: Snapshot, *, now: datetime) -> tuple[Action, ...]:
    """Write once why nothing happens, if the run has no phase yet."""
    if snapshot.status.get("phase"):
        return ()
    notice = status.ledger_unavailable(snapshot.status, now=now)
    return () if notice == snapshot.status else (WriteStatus(status=notice, rev=0, urgency=Urgency.PHASE),)


def _without_record(observation: Observation, *, snapshot: Snapshot, now: datetime) -> tuple[Action, ...]:
    if snapshot.is_final or observation.final_written:
        completed = completed_at(snapshot.status) or now.timestamp()
        return (*_expiry(observation, snapshot=snapshot, completed=completed), Forget())
    if status.had_started(snapshot.status):
        lost = status.render_ledger_lost(snapshot.status, now=now)
        return (WriteStatus(status=lost, rev=_LAST_REV, urgency=Urgency.FINAL),)
    if snapshot.problem is not None:
        too_large = isinstance(snapshot.problem, SpecTooLarge)
        reason = Reason.SPEC_TOO_LARGE if too_large else Reason.SPEC_INVALID
        return (Submit(born_final=reason, message=str(snapshot.problem)),)
    if snapshot.spec.cancel is None:
        return (Submit(),)
    if snapshot.generation == 1:
        message = "spec.cancel was set when the TaskRun was created"
        return (Submit(born_final=Reason.CANCELLED_AT_CREATE, message=message),)
    message = "spec.cancel was set before the run was submitted"
    return (Submit(born_final=Reason.CANCELLED_BY_USER, message=message),)


def _as_shown(record: Record) -> Record:
    """Without holders if it is far back in the queue: each hand-over would be a write for all waiters."""
    return replace(record, held_by=()) if record.position > status.POSITIONS_SHOWN else record


def _after_final(observation: Observation, *, snapshot: Snapshot, record: Record) -> tuple[Action, ...]:
    """The actions after the last status is written."""
    ttl = (
        observation.default_ttl_seconds
        if snapshot.spec.ttl_seconds_after_finished is None
        else snapshot.spec.ttl_seconds_after_finished
    )
    completed = (record.finished_at or 0) / 1_000_000
    return (
        *_expiry(observation, snapshot=snapshot, completed=completed),
        Acknowledge(retain_seconds=ttl + RETAIN_MARGIN_SECONDS),
        Forget(),
    )


def _expiry(observation: Observation, *, snapshot: Snapshot, completed: float) -> tuple[Action, ...]:
    ttl = effective_ttl(snapshot, default_ttl_seconds=observation.default_ttl_seconds)
    return () if ttl is None else (ExpireLater(due=completed + ttl),)


def effective_ttl(snapshot: Snapshot, *, default_ttl_seconds: int) -> int | None:
    """Seconds from the end to the deletion; None: never. TaskRuns of other tools have no default."""
    if snapshot.spec.ttl_seconds_after_finished is not None:
        return snapshot.spec.ttl_seconds_after_finished
    return None if snapshot.tracked else default_ttl_seconds


def _wanted_cancel(snapshot: Snapshot, *, record: Record) -> tuple[Action, ...]:
    """The user's cancel, unless the ledger already has it or a stronger one."""
    if snapshot.spec.cancel is None or record.cancel == CancelMode.FORCE.value.lower():
        return ()
    if record.cancel and snapshot.spec.cancel is CancelMode.GRACEFUL:
        return ()
    return (Cancel(mode=snapshot.spec.cancel, reason=Reason.CANCELLED_BY_USER),)


def _urgency(shown: Mapping[str, Any], *, rendered: Mapping[str, Any]) -> Urgency:
    if all(shown.get(field) == rendered.get(field) for field in ("phase", "reason", "attempt")):
        return Urgency.MINOR
    passing = rendered.get("reason") == Reason.WAITING_FOR_WORKER.value
    return Urgency.PASSING if passing and rendered.get("phase") == Phase.ADMITTED.value else Urgency.PHASE
