"""Plans the actions for one run at a time: hands status writes to the writer, and returns the ledger calls.

A run whose planning fails returns to the queue after a growing pause, and does not affect other runs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from kelery.errors import LedgerError
from kelery.ledger import commands
from kelery.ledger.commands import Call
from kelery.ledger.types import Submission
from kelery.run.model import Record
from kelery.run.phases import Phase, Reason
from kelery.taskrun.status import POSITIONS_SHOWN
from kelery.taskrun.submission import submission_of, submission_of_unreadable
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.runtime.scope import Scope
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.settings import OperatorSettings
from kelery_operator.taskrun.actions import (
    Acknowledge,
    Action,
    Cancel,
    ExpireLater,
    Forget,
    Submit,
    WriteStatus,
)
from kelery_operator.taskrun.decide import Observation, decide
from kelery_operator.taskrun.run_state import RunState, RunStates
from kelery_operator.taskrun.snapshot import Snapshot
from kelery_operator.taskrun.status.writer import StatusWriter

logger = logging.getLogger("kelery.operator")


@dataclass(frozen=True, slots=True)
class LedgerStep:
    """One call of the ledger for one run."""

    uid: str
    call: Call[Any]
    action: Action
    #: The TaskRun when this was decided; None if it is gone.
    seen: Snapshot | None


class Planner:
    """Turns the state of a run into actions."""

    def __init__(
        self,
        *,
        scope: Scope,
        settings: OperatorSettings,
        states: RunStates,
        queue: WorkQueue[str],
        writer: StatusWriter,
        metrics: Metrics,
    ) -> None:
        self._scope = scope
        self._settings = settings
        self._states = states
        self._queue = queue
        self._writer = writer
        self._metrics = metrics

    def foreseen(self, uids: Iterable[str]) -> dict[str, Record | None]:
        """The records that need no call of the ledger now."""
        records: dict[str, Record | None] = {}
        for uid in uids:
            state = self._states.get(uid)
            is_written = self._states.is_final_written(uid)
            if state is None:
                # Finished or unknown: nothing is decided.
                records[uid] = None
            elif is_written and state.ended:
                records[uid] = state.ended
            elif state.is_untouched and not is_written:
                # If the ledger has it, as after a restart, the submission changes nothing.
                records[uid] = None
        return records

    def versions(self, uids: Iterable[str]) -> dict[str, int]:
        """The versions of the TaskRuns, as far as known now."""
        return {uid: self._states.version(uid) for uid in uids}

    def plan(
        self, uid: str, *, record: Record | Exception | None, version: int | None = None
    ) -> list[LedgerStep]:
        """Decide about a run with its record; None if the ledger has none.

        `version` is that of the TaskRun when the record was requested, unless this is now.
        """
        try:
            if isinstance(record, Exception):
                raise record
            return self._plan(uid, record=record, ledger_answers=True, version=version)
        except Exception as error:
            self.put_back(uid, error=error)
            return []

    def plan_without_ledger(self, uid: str) -> None:
        """Decide about a run while the ledger is unavailable. Plans no calls of the ledger."""
        try:
            self._plan(uid, record=None, ledger_answers=False)
        except Exception as error:
            self.put_back(uid, error=error)

    def put_back(self, uid: str, *, error: Exception) -> None:
        """Return a run to the queue after a failure, with a pause."""
        kind = type(error).__name__
        self._metrics.failures.labels(kind).inc()
        pause = self._queue.retry(uid)
        logger.warning(
            "cannot handle a run; retrying: %s",
            kind if not isinstance(error, LedgerError) else f"{kind}: {error}",
            extra={"run": uid, "pause": round(pause, 2)},
            exc_info=None if isinstance(error, LedgerError) else error,
        )

    def _plan(
        self, uid: str, *, record: Record | None, ledger_answers: bool, version: int | None = None
    ) -> list[LedgerStep]:
        state = self._states.get(uid)
        if state is None:
            return []
        snapshot = state.snapshot
        observation = Observation(
            presence=state.presence,
            snapshot=snapshot,
            record=record,
            ledger_answers=ledger_answers,
            final_written=self._states.is_final_written(uid),
            default_ttl_seconds=self._settings.default_ttl_seconds,
        )
        state.position_key = _position_key(record) if snapshot else ""
        if snapshot is None:
            self._states.forget_writes(uid)
        steps: list[LedgerStep] = []
        for action in decide(observation, now=datetime.now(UTC)):
            self._metrics.actions.labels(type(action).__name__).inc()
            match action:
                case WriteStatus():
                    self._offer(state, action, record=record, version=version)
                case Forget() if not steps:
                    self._states.forget(uid)
                    self._queue.forget(uid)
                case Forget():
                    # Only after the ledger has accepted the steps before.
                    continue
                case _:
                    call = self._call(uid, action, state=state)
                    steps.append(LedgerStep(uid, call, action, seen=snapshot))
        return steps

    def _offer(
        self, state: RunState, action: WriteStatus, *, record: Record | None, version: int | None
    ) -> None:
        snapshot = state.snapshot
        if snapshot is None:
            return
        version = snapshot.version if version is None else version
        if record is not None and record.phase.is_final:
            # An end in the ledger replaces every other status.
            version = 0
            # Without long fields: only the fact and time of the end matter from now on.
            state.ended = replace(record, spec_json="", result_json="", error_json="", attempts=())
        since = self._queue.in_work_since(snapshot.who.uid)
        self._writer.offer(snapshot.who, action, version=version, since=since)

    def _call(self, uid: str, action: Action, *, state: RunState) -> Call[Any]:
        match action:
            case Cancel(mode=mode, reason=reason):
                return commands.cancel(uid, mode, reason)
            case Acknowledge(retain_seconds=retain):
                return commands.acknowledge(uid, retain_seconds=retain)
            case ExpireLater(due=due) if state.snapshot:
                who = state.snapshot.who
                return commands.expire_later(
                    self._scope.cluster, uid=uid, namespace=who.namespace, name=who.name, due=due
                )
            case Submit() if state.snapshot:
                state.is_submitted = True
                return commands.submit(self._submission(state.snapshot, action))
        raise AssertionError(f"{type(action).__name__} is not a ledger call")

    def _submission(self, snapshot: Snapshot, action: Submit) -> Submission:
        cluster, ledger = self._scope.cluster, self._settings.ledger
        if snapshot.problem is not None:
            return submission_of_unreadable(
                task=snapshot.spec.task,
                who=snapshot.who,
                cluster=cluster,
                settings=ledger,
                reason=action.born_final or Reason.SPEC_INVALID,
                message=action.message,
            )
        return submission_of(
            snapshot.spec,
            who=snapshot.who,
            cluster=cluster,
            settings=ledger,
            born_final=action.born_final,
        )


def _position_key(record: Record | None) -> str:
    """The key whose queue position the run shows; "" if none."""
    is_shown = record and record.phase is Phase.WAITING and 0 < record.position <= POSITIONS_SHOWN
    return record.key if record and is_shown else ""
