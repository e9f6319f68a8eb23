"""Whether the runs of the demo ended as expected and within their limits. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kelery.run.phases import FINAL_PHASES
from kelery_dev.demo.examples import ExampleRun

_FINAL = {phase.value for phase in FINAL_PHASES}

Status = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """The use of one key."""

    key: str
    limit: int
    runs: int
    #: The largest number of runs at once.
    most_at_once: int


def is_final(status: Status) -> bool:
    """Whether a run has ended."""
    return status.get("phase") in _FINAL


def problem(run: ExampleRun, *, status: Status) -> str | None:
    """What is wrong with the end of a run, as a clause that names it; None if nothing is."""
    if not status:
        return f"{run.name} has no status"
    phase, reason = status.get("phase", "no phase"), status.get("reason", "")
    stands = f"{phase}/{reason}"
    if not is_final(status):
        return f"{run.name} did not end in time: it is {stands} (expected {run.expectation})"
    if phase != run.phase.value or (run.reason and reason != run.reason):
        return f"{run.name} ended as {stands} (expected {run.expectation})"
    value = (status.get("result") or {}).get("value")
    shown = json.dumps(value, ensure_ascii=False, sort_keys=True)
    if run.result is not None and shown != run.result:
        return f"{run.name} returned {shown} (expected {run.result})"
    return None


def key_uses(runs: Iterable[ExampleRun], *, statuses: Mapping[str, Status]) -> list[KeyUse]:
    """The use of each key that several runs share, from the times of their attempts."""
    by_key: dict[str, list[ExampleRun]] = {}
    for run in runs:
        if run.key:
            by_key.setdefault(run.key, []).append(run)
    return [
        KeyUse(
            key=key,
            limit=min(run.limit for run in sharing),
            runs=len(sharing),
            most_at_once=_most_at_once([statuses.get(run.name, {}) for run in sharing]),
        )
        for key, sharing in by_key.items()
        if len(sharing) > 1
    ]


def _most_at_once(statuses: Sequence[Status]) -> int:
    """All times come from the ledger's clock in one format, so they compare as text."""
    steps = [
        step
        for status in statuses
        for attempt in status.get("attempts") or ()
        if attempt.get("started") and attempt.get("finished")
        # At the same moment an end counts before a start.
        for step in ((attempt["started"], 1), (attempt["finished"], -1))
    ]
    running = most = 0
    for _, step in sorted(steps):
        running += step
        most = max(most, running)
    return most
