"""Computes the next events for a watcher, from the run's record, its history and the watcher's position.
Pure.

Invariants: an event's id is a `rev` of the run, and all phase changes up to that rev are sent before it or
with it. So a watcher that reconnects with its last id gets the rest: no phase change is missing or repeated.
Ids never decrease. Only the newest progress is sent.
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
    """One event of a stream, before it is encoded."""

    name: str
    id: int
    data: Mapping[str, Any]

    def encode(self) -> bytes:
        """The event in the format `text/event-stream`. Compact JSON is one line of ASCII."""
        return f"event: {self.name}\nid: {self.id}\ndata: {json_codec.compact(self.data)}\n\n".encode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The state of one watcher."""

    #: The watcher has every phase change up to this rev.
    rev: int
    #: The last progress sent, as in the record.
    progress_json: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBatch:
    """Events to send to a watcher, and its position afterwards."""

    events: tuple[Event, ...]
    position: Position
    is_last: bool = False

    @property
    def is_only_progress(self) -> bool:
        """Whether the batch has events, and all are progress."""
        return bool(self.events) and all(event.name == "progress" for event in self.events)


def position_after(record: Record, *, last_event_id: int) -> Position:
    """The position of a watcher whose last event has this id (0: none)."""
    if last_event_id > record.rev:
        # From an earlier state of the ledger, such as before a restored backup; the run can differ.
        return Position(rev=0)
    knows_all = last_event_id == record.rev
    return Position(rev=last_event_id, progress_json=record.progress_json if knows_all else "")


def final_id(record: Record, history: Sequence[Transition]) -> int:
    """The id of the last event of a final run."""
    # A run that an older version of the ledger ended can have no history.
    return history[-1].rev if history and history[-1].phase.is_final else record.rev


def next_batch(
    record: Record, history: Sequence[Transition], position: Position, *, render: Render
) -> EventBatch:
    """The new events. Read `history` after `record`, so that it has at least the changes of the record."""
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
            # The progress is older than the last change, so it comes first: the change's id covers both.
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
