"""What the gateway does with runs: submit, find, wait, cancel, delete. Routes put it into HTTP.

Invariant: it keeps nothing of its own. Whatever instruction it dies at, the ledger has taken the run or has
not, and any other gateway goes on from there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeGuard

from kelery.errors import LedgerError, RunConflict
from kelery.json_codec import INLINE_BYTES
from kelery.ledger import commands, queries
from kelery.ledger.async_client import Ledger
from kelery.ledger.types import OnlyIf, Submission, SubmissionRefused
from kelery.run.model import CancelMode, Record
from kelery.run.phases import Reason
from kelery.taskrun.resource import KIND
from kelery_api.http.problems import Kind, Problem
from kelery_api.streams.follower import Follower, final_record

#: Deletes the TaskRun that a record is of, as far as it is still there.
DeleteTaskRun = Callable[[Record], Awaitable[None]]
_REFUSED = {
    OnlyIf.ROOM: (Kind.ALREADY_RUNNING, "one run of this key at a time, and one is {phase}"),
    OnlyIf.FREE_NAME: (Kind.NAME_TAKEN, "a run of the namespace has this name and is {phase}; give another"),
}


class Runs:
    """The runs of one ledger."""

    def __init__(self, ledger: Ledger, *, follower: Follower, delete_task_run: DeleteTaskRun | None) -> None:
        self._ledger = ledger
        self._follower = follower
        self._delete_task_run = delete_task_run

    async def submit_and_wait(self, submission: Submission, *conditions: OnlyIf, seconds: int) -> Record:
        """Like `submit`; the answer comes when the run has ended, or as it stands after `seconds`."""
        if not seconds:
            return await self.submit(submission, *conditions)
        accepted: list[Record] = []

        async def submit() -> Record:
            accepted.append(await self.submit(submission, *conditions))
            return accepted[0]

        try:
            record = await final_record(
                self._ledger, self._follower, submission.uid, wait_seconds=seconds, first_look=submit
            )
        except LedgerError:
            # It was accepted before the outage, and that is what the caller has to know.
            if accepted:
                return accepted[0]
            raise
        return _still_there(record)

    async def submit(self, submission: Submission, *conditions: OnlyIf) -> Record:
        """The run as it stands after its submission, whether it is new or known.

        Problem if a condition does not hold, if the uid is that of a run with another spec, or if that run
        was deleted.
        """
        submitting = commands.submit_only_if(submission, conditions)
        viewing = commands.view([submission.uid], inline_bytes=INLINE_BYTES)
        try:
            submitted, [record] = await self._ledger.run_both(submitting, viewing)
        except RunConflict:
            raise Problem(
                Kind.IDEMPOTENCY_KEY_REUSED,
                "the Idempotency-Key was used with another body; send the same body, or another key",
            ) from None
        if isinstance(submitted, SubmissionRefused):
            raise await self._refusal(submitted)
        if record is None or record.is_deleted:
            raise Problem(
                Kind.RUN_DELETED, "the run of this Idempotency-Key was deleted; use another key to run again"
            )
        return record

    async def _refusal(self, refused: SubmissionRefused) -> Problem:
        kind, detail = _REFUSED[refused.because_not]
        other = await self.view(refused.other)
        phase = other.phase.value if other is not None else "gone by now"
        return Problem(kind, detail.format(phase=phase), extra={"id": refused.other})

    async def find(self, namespace: str, id_or_name: str, *, also_ending: bool = False) -> Record:
        """The run with this uid, else the newest with this name; Problem if the namespace has none.

        With `also_ending`, by its uid also a deleted run that has not ended, for it still holds its key.
        """
        viewing = commands.view([id_or_name], inline_bytes=INLINE_BYTES)
        [record], newest = await self._ledger.run_both(viewing, queries.uid_of_name(namespace, id_or_name))
        if _is_shown(record, namespace) or (also_ending and _is_ending(record, namespace)):
            return record
        record = await self._by_name(namespace, id_or_name, newest=newest)
        if not _is_shown(record, namespace):
            raise Problem(
                Kind.NOT_FOUND,
                f"no run of the namespace {namespace} is known by this id or name; ended runs are kept for a"
                " while, and a name is that of the newest run that had it",
            )
        return record

    async def _by_name(self, namespace: str, name: str, *, newest: str | None) -> Record | None:
        """The newest run of the name, but a live one before one that has ended."""
        record = await self.view(newest) if newest else None
        if record is None or not record.phase.is_final:
            return record
        live = await self._ledger.run(queries.live_namesake(namespace, name))
        return (await self.view(live) if live else None) or record

    async def find_latest(self, namespace: str, key: str) -> Record:
        """The run of a key that was admitted last: the one that runs, if one does. Problem if none ever
        was.
        """
        uid = await self._ledger.run(queries.latest_of_key(f"{namespace}/{key}"))
        record = await self.view(uid) if uid else None
        if not _is_shown(record, namespace):
            raise Problem(Kind.NOT_FOUND, f"no run of the key {key} is known; start one with /start")
        return record

    async def view(self, uid: str) -> Record | None:
        """The record; None if there is none."""
        (record,) = await self._ledger.run(commands.view([uid], inline_bytes=INLINE_BYTES))
        return record

    async def wait(self, record: Record, *, seconds: int) -> Record:
        """The run at its end, or as it stands after `seconds`."""
        if record.phase.is_final or not seconds:
            return record
        return _still_there(
            await final_record(self._ledger, self._follower, record.uid, wait_seconds=seconds)
        )

    async def whole_result(self, record: Record) -> str | None:
        """The result as JSON text, whatever its size."""
        if record.result_json or not record.result_bytes:
            return record.result_json or None
        return await self._ledger.run(commands.whole_result(record.uid))

    async def cancel(self, record: Record, *, mode: CancelMode, message: str) -> Record:
        """The run as it stands after it was asked to stop; nothing changes for one that has ended."""
        if record.phase.is_final:
            return record
        cancelling = commands.cancel(record.uid, mode, Reason.CANCELLED_BY_USER, message=message)
        await self._ledger.run(cancelling)
        newer = await self.view(record.uid)
        # A deleted run that has ended is stripped of what could be shown.
        return record if newer is None or (newer.is_deleted and newer.phase.is_final) else newer

    async def delete(self, record: Record) -> None:
        """Out of sight at once, and stopped if it is live; if it was born as a TaskRun, that goes too."""
        if record.origin == KIND:
            if self._delete_task_run is None:
                raise Problem(
                    Kind.NOT_DELETABLE_HERE,
                    "it was born as a TaskRun and this gateway reaches no cluster; use kubectl delete taskrun"
                    f" {record.name} -n {record.namespace}",
                )
            await self._delete_task_run(record)
        await self._ledger.run(commands.delete(record.uid))


def _still_there(record: Record | None) -> Record:
    if record is None or record.is_deleted:
        raise Problem(Kind.NOT_FOUND, "the run was deleted while it was waited for")
    return record


def _is_shown(record: Record | None, namespace: str) -> TypeGuard[Record]:
    return record is not None and record.namespace == namespace and not record.is_deleted


def _is_ending(record: Record | None, namespace: str) -> TypeGuard[Record]:
    return (
        record is not None
        and record.namespace == namespace
        and record.is_deleted
        and not record.phase.is_final
    )
