"""Which events the watcher of a run gets next: pure, from its record, its history and what was sent before.

Invariants: an event's id is a `rev` of the run, and every change of phase up to that rev was sent before it
or with it; so a watcher that comes back with the last id it saw gets the rest, nothing left out and no
change of phase twice. Ids never fall. Of progress only the newest is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kelery import json_codec, timestamps
from kelery.run.model import Record, Transition
from kelery.taskrun import status, truncate

Render = Callable[[Record], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of a stream, before it is written down."""

    name: str
    id: int
    data: Mapping[str, Any]

    def encode(self) -> bytes:
        """As `text/event-stream` has it; compact JSON is one line of ASCII."""
        return f"event: {self.name}\nid: {self.id}\ndata: {json_codec.compact(self.data)}\n\n".encode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What one watcher knows."""

    #: It knows every change of phase up to here.
    rev: int
    #: The progress it was sent last, as the record has it.
    progress_json: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBatch:
    """What to send to a watcher, and what it knows then."""

    events: tuple[Event, ...]
    position: Position
    is_last: bool = False

    @property
    def is_only_progress(self) -> bool:
        """Whether there are some, and no change of phase among them."""
        return bool(self.events) and all(event.name == "progress" for event in self.events)


def position_after(record: Record, *, last_event_id: int) -> Position:
    """What a watcher knows that saw this id last (0: nothing)."""
    if last_event_id > record.rev:
        # Not from this life of the ledger: the run may have gone another way.
        return Position(rev=0)
    knows_all = last_event_id == record.rev
    return Position(rev=last_event_id, progress_json=record.progress_json if knows_all else "")


def final_id(record: Record, history: Sequence[Transition]) -> int:
    """The id of the last event of a final run."""
    # A run that an older version of the ledger ended may have no history.
    return history[-1].rev if history and history[-1].phase.is_final else record.rev


def next_batch(
    record: Record, history: Sequence[Transition], position: Position, *, render: Render
) -> EventBatch:
    """What is new. `history` must have been read after `record`: it may know more, and not less."""
    if record.phase.is_final:
        end = final_id(record, history)
        events = [_phase(change) for change in history if position.rev < change.rev < end]
        if position.rev < end:
            events.append(Event(name="finished", id=end, data=render(record)))
        return EventBatch(events=tuple(events), position=Position(rev=max(end, position.rev)), is_last=True)
    fresh = [change for change in history if position.rev < change.rev <= record.rev]
    events = [_phase(change) for change in fresh]
    if record.progress_json and record.progress_json != position.progress_json:
        if fresh and fresh[-1].rev == record.rev:
            # Older than the last change, so before it: a watcher that has the change's id has both.
            events.insert(-1, _progress(record, rev=record.rev - 1))
        else:
            events.append(_progress(record, rev=record.rev))
    return EventBatch(
        events=tuple(events), position=Position(rev=record.rev, progress_json=record.progress_json)
    )


def _phase(change: Transition) -> Event:
    data = {
        "phase": change.phase.value,
        "reason": truncate.reason(change.reason),
        "attempt": change.attempt,
        "at": timestamps.precise(change.at),
        "rev": change.rev,
    }
    return Event(name="phase", id=change.rev, data=data)


def _progress(record: Record, *, rev: int) -> Event:
    shown = status.render(record, previous={}).get("progress", {})
    data = {name: shown[name] for name in ("current", "total", "message") if name in shown}
    return Event(name="progress", id=rev, data={**data, "rev": rev})
