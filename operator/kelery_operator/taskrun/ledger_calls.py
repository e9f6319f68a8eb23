"""The reconciler's calls of the ledger: reads the records of runs, and executes the planned steps.

All calls of a chunk are one pipeline.
"""

from __future__ import annotations

from collections.abc import Sequence

from kelery import json_codec
from kelery.errors import LedgerError, LedgerTooOld, LedgerUnavailable
from kelery.ledger import commands
from kelery.ledger.async_client import Ledger
from kelery.ledger.types import Submitted
from kelery.run.model import Record
from kelery_operator.runtime.outage import Outage
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.actions import Acknowledge, Cancel, ExpireLater, Submit
from kelery_operator.taskrun.planning import LedgerStep, Planner
from kelery_operator.taskrun.run_state import RunStates

#: The pause before a check after a submission, in case stream and watch missed something.
_CHECK_SECONDS = 1.0


class LedgerCalls:
    """Executes calls. A failed call puts its run back into the queue. Notes outages."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        planner: Planner,
        states: RunStates,
        queue: WorkQueue[str],
        outage: Outage,
    ) -> None:
        self._ledger = ledger
        self._planner = planner
        self._states = states
        self._queue = queue
        self._outage = outage

    async def records(self, uids: Sequence[str]) -> dict[str, Record | Exception | None]:
        """The records, or the error of one that cannot be read. Raises LedgerUnavailable."""
        try:
            found = await self._ledger.run(commands.view(uids, inline_bytes=json_codec.INLINE_BYTES))
            records: dict[str, Record | Exception | None] = dict(zip(uids, found, strict=True))
        except (LedgerUnavailable, LedgerTooOld):
            raise
        except Exception:
            # One unreadable record must not hide the others.
            records = {uid: await self._record(uid) for uid in uids}
        self._outage.ends()
        return records

    async def carry_out(self, steps: Sequence[LedgerStep]) -> None:
        """Execute all steps, then queue what follows from them."""
        replies = await self._ledger.run_all([step.call for step in steps])
        if not all(isinstance(reply, LedgerUnavailable) for reply in replies):
            self._outage.ends()
        failed: set[str] = set()
        for step, reply in zip(steps, replies, strict=True):
            if isinstance(reply, LedgerError):
                failed.add(step.uid)
                self._planner.put_back(step.uid, error=reply)
                if isinstance(reply, LedgerUnavailable) and isinstance(step.action, Submit):
                    # A server that cannot write (memory full, replica) counts as unavailable.
                    self._planner.plan_without_ledger(step.uid)
        acknowledged = {step.uid for step in steps if isinstance(step.action, Acknowledge)}
        for step, reply in zip(steps, replies, strict=True):
            if step.uid not in failed:
                self._follow_up(step, reply=reply, is_acknowledged=step.uid in acknowledged)

    async def _record(self, uid: str) -> Record | Exception | None:
        try:
            return (await self._ledger.run(commands.view([uid], inline_bytes=json_codec.INLINE_BYTES)))[0]
        except LedgerUnavailable:
            raise
        except Exception as error:
            return error

    def _follow_up(self, step: LedgerStep, *, reply: object, is_acknowledged: bool) -> None:
        self._queue.forget(step.uid)
        match step.action:
            case Acknowledge():
                self._states.forget_unchanged(step.uid, seen=step.seen)
            case Submit():
                # After a loss of data, the ledger counts `rev` from the start.
                self._states.forget_writes(step.uid)
                # For a new run, the ledger's stream reports earlier.
                is_new = isinstance(reply, Submitted) and reply.new
                self._queue.add_after(step.uid, delay=_CHECK_SECONDS if is_new else 0)
            case Cancel():
                self._queue.add(step.uid)
            case ExpireLater() if not is_acknowledged:
                # A finished run without a record has nothing to acknowledge.
                self._states.forget_unchanged(step.uid, seen=step.seen)
