"""A fault that is planted in the ledger's library, and a sequence of calls that shows it.

The state machine's search found the sequence, and it is as short as possible. Each step is a rule of
`ledger_machine`, with the choices that Hypothesis made. `make thorough` searches again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from kelery.ledger.library import SOURCE
from kelery.ledger.types import Outcome
from kelery.run.model import CancelMode, Concurrency, RunSpec
from kelery.run.phases import Reason
from tests.contract.ledger.ledger_machine import LedgerMachine, machine_for

Step = Callable[[LedgerMachine], None]

SUCCEEDED = Outcome(kind="succeeded", result_json="1")
#: Celery's own retry, in an hour.
AGAIN_LATER = Outcome(kind="retry", reason=Reason.TASK_ERROR, delay_seconds=3600)


def keyed(*, priority: int = 0, **concurrency: Any) -> RunSpec:
    """A run of the key `a`; one at a time by default."""
    return RunSpec(task="demo.add", priority=priority, concurrency=Concurrency(key="a", **concurrency))


def unkeyed() -> RunSpec:
    """A run without a key."""
    return RunSpec(task="demo.add")


def submit_one(ledger: LedgerMachine) -> None:
    """`run-0`, of the key `a`."""
    ledger.submit_rival(spec=keyed())


def claim_all(ledger: LedgerMachine) -> None:
    """A worker claims any admitted run."""
    ledger.claim_all_that_are_admitted(worker="w1", nonce="n1")


def cancel_first(ledger: LedgerMachine) -> None:
    """A person cancels `run-0`."""
    ledger.cancel(uid="run-0", mode=CancelMode.GRACEFUL, reason=Reason.CANCELLED_BY_USER, message="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong, the one place of the library that makes it so, and the steps that show it."""

    what: str
    original: str
    planted: str
    caught_by: Sequence[Step]

    def source(self) -> str:
        """The library with the fault in it."""
        found = SOURCE.count(self.original)
        assert found == 1, f"the text of this fault occurs {found} times in the library: {self.original}"
        return SOURCE.replace(self.original, self.planted)


def replay(client: redis.Redis, steps: Sequence[Step], *, source: str = SOURCE) -> None:
    """Take the steps as the state machine does: every promise is checked after each, and at the end."""
    machine = machine_for(client, source=source)()
    try:
        for step in steps:
            step(machine)
            machine.promises_are_kept()
    finally:
        machine.teardown()
