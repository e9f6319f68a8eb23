"""Operations on runs: submit, find, wait, cancel, delete. Routes translate them to HTTP.

Invariant: the gateway is stateless. If it dies at any instruction, the ledger either accepted the run or did
not, and any other gateway can continue.
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

#: Deletes the TaskRun of a record, if it still exists.
DeleteTaskRun = Callable[[Record], Awaitable[None]]
_REFUSED = {
    OnlyIf.ROOM: (
        Kind.ALREADY_RUNNING,
        "a run of this key is {phase}; wait or cancel it",
    ),
    OnlyIf.FREE_NAME: (
        Kind.NAME_TAKEN,
        "name: a live run of the namespace has this name and is {phase}; use another name",
    ),
}


class Runs:
    """The runs of one ledger."""

    def __init__(self, ledger: Ledger, *, follower: Follower, delete_task_run: DeleteTaskRun | None) -> None:
        self._ledger = ledger
        self._follower = follower
        self._delete_task_run = delete_task_run

    async def submit_and_wait(self, submission: Submission, *conditions: OnlyIf, seconds: int) -> Record:
        """Like `submit`, but returns when the run has finished, or with its state after `seconds`."""
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
            # The run was accepted before the outage, so the caller must learn its id.
            if accepted:
                return accepted[0]
            raise
        return _still_there(record)

    async def submit(self, submission: Submission, *conditions: OnlyIf) -> Record:
        """The run's state after its submission, whether the run is new or already known.

        Raises Problem if a condition does not hold, if the uid belongs to a run with another spec, or if that
        run was deleted.
        """
        submitting = commands.submit_only_if(submission, conditions)
        viewing = commands.view([submission.uid], inline_bytes=INLINE_BYTES)
        try:
            submitted, [record] = await self._ledger.run_both(submitting, viewing)
        except RunConflict:
            raise Problem(
                Kind.IDEMPOTENCY_KEY_REUSED,
                "Idempotency-Key: it was used with another body; send the same body, or use another key",
            ) from None
        if isinstance(submitted, SubmissionRefused):
            raise await self._refusal(submitted)
        if record is None or record.is_deleted:
            raise Problem(
                Kind.RUN_DELETED,
                "Idempotency-Key: its run was deleted; use another key to run the task again",
            )
        return record

    async def _refusal(self, refused: SubmissionRefused) -> Problem:
        kind, detail = _REFUSED[refused.because_not]
        other = await self.view(refused.other)
        phase = other.phase.value if other is not None else "not finished"
        return Problem(kind, detail.format(phase=phase), extra={"id": refused.other})

    async def find(self, namespace: str, id_or_name: str, *, also_ending: bool = False) -> Record:
        """The run with this uid, else the one with this name. Raises Problem if the namespace has none.

        With `also_ending`, the uid also finds a deleted run that has not ended, since it still holds its key.
        """
        viewing = commands.view([id_or_name], inline_bytes=INLINE_BYTES)
        [record], newest = await self._ledger.run_both(viewing, queries.uid_of_name(namespace, id_or_name))
        if _is_shown(record, namespace) or (also_ending and _is_ending(record, namespace)):
            return record
        record = await self._by_name(namespace, id_or_name, newest=newest)
        if not _is_shown(record, namespace):
            raise Problem(
                Kind.NOT_FOUND,
                f"the namespace {namespace} has no run with this uid or name; check both, and note that"
                " finished runs are deleted after their retention time",
            )
        return record

    async def _by_name(self, namespace: str, name: str, *, newest: str | None) -> Record | None:
        """The live run of the name, else the newest one."""
        record = await self.view(newest) if newest else None
        if record is None or not record.phase.is_final:
            return record
        live = await self._ledger.run(queries.live_namesake(namespace, name))
        return (await self.view(live) if live else None) or record

    async def find_latest(self, namespace: str, key: str) -> Record:
        """The run of a key that was admitted last, which is the running one if there is one. Raises Problem
        if the key has none.
        """
        uid = await self._ledger.run(queries.latest_of_key(f"{namespace}/{key}"))
        record = await self.view(uid) if uid else None
        if not _is_shown(record, namespace):
            raise Problem(Kind.NOT_FOUND, f"the key {key} has no run; start one with /start")
        return record

    async def view(self, uid: str) -> Record | None:
        """The record with this uid, or None."""
        (record,) = await self._ledger.run(commands.view([uid], inline_bytes=INLINE_BYTES))
        return record

    async def wait(self, record: Record, *, seconds: int) -> Record:
        """The run when it has finished, or its state after `seconds`."""
        if record.phase.is_final or not seconds:
            return record
        return _still_there(
            await final_record(self._ledger, self._follower, record.uid, wait_seconds=seconds)
        )

    async def whole_result(self, record: Record) -> str | None:
        """The complete result as JSON text; None if the run has none."""
        if record.result_json or not record.result_bytes:
            return record.result_json or None
        return await self._ledger.run(commands.whole_result(record.uid))

    async def cancel(self, record: Record, *, mode: CancelMode, message: str) -> Record:
        """The run's state after the cancel request. A finished run does not change."""
        if record.phase.is_final:
            return record
        cancelling = commands.cancel(record.uid, mode, Reason.CANCELLED_BY_USER, message=message)
        await self._ledger.run(cancelling)
        newer = await self.view(record.uid)
        # The record of a deleted, finished run no longer has the fields to show.
        return record if newer is None or (newer.is_deleted and newer.phase.is_final) else newer

    async def delete(self, record: Record) -> None:
        """Hide the run at once, and cancel it if it is live. Deletes the TaskRun first, if it has one."""
        if record.origin == KIND:
            if self._delete_task_run is None:
                raise Problem(
                    Kind.NOT_DELETABLE_HERE,
                    "the run was created through the Kubernetes API, and this gateway has no cluster"
                    " to delete its TaskRun from; use"
                    f" kubectl delete taskrun {record.name} -n {record.namespace}",
                )
            await self._delete_task_run(record)
        await self._ledger.run(commands.delete(record.uid))


def _still_there(record: Record | None) -> Record:
    if record is None or record.is_deleted:
        raise Problem(Kind.NOT_FOUND, "the run was deleted during the wait")
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
