"""The one lane: take what changed, ask the ledger, decide, and carry out what was decided.

All ledger calls of a chunk go in one pipeline. Namespaces take turns in it, and in a namespace the runs
stand in order of creation, so first come is first served wherever a key is shared. A run that trips its own
round is put back with a growing pause, and nobody else notices. While the ledger is away the lane waits for
it with everything kept.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from kelery import json_codec
from kelery.errors import LedgerError, LedgerTooOld, LedgerUnavailable
from kelery.ledger import commands
from kelery.ledger.async_client import Ledger
from kelery.ledger.commands import Call
from kelery.ledger.types import Submission, Submitted
from kelery.run.model import Record
from kelery.run.phases import Reason
from kelery.taskrun.resource import Identity
from kelery.taskrun.submission import submission_of, submission_of_unreadable
from kelery_operator.runtime.metrics import Metrics
from kelery_operator.runtime.watchdog import Watchdog
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
from kelery_operator.taskrun.cache import Cache
from kelery_operator.taskrun.decide import Presence, Situation, decide
from kelery_operator.taskrun.existence_checks import ExistenceChecks
from kelery_operator.taskrun.queue_positions import QueuePositions
from kelery_operator.taskrun.snapshot import Snapshot
from kelery_operator.taskrun.status.coalescer import Write
from kelery_operator.taskrun.status.writer import StatusWriter

logger = logging.getLogger(__name__)

#: Specs of 128 KiB make a pipeline of some tens of MB.
_CHUNK = 100
#: Nobody waits for an acknowledgement, so those of a while go in one round.
_ACKNOWLEDGE_EVERY_SECONDS = 0.25
#: After a submission, or a write that is not the last: stream and watch may have kept something from us.
_CHECK_SECONDS = 1.0
_PATIENCE_SECONDS = 2.0
_OUTAGE_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class _Step:
    """One ledger call for one run."""

    uid: str
    call: Call[Any]
    action: Action


class Reconciler:
    """Level-triggered: every round starts from the record and the object as they are."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        cluster: str,
        settings: OperatorSettings,
        cache: Cache,
        queue: WorkQueue,
        writer: StatusWriter,
        looks: ExistenceChecks,
        positions: QueuePositions,
        metrics: Metrics,
        heartbeat: Watchdog,
        on_recovery: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._cluster = cluster
        self._settings = settings
        self._cache = cache
        self._queue = queue
        self._writer = writer
        self._looks = looks
        self._positions = positions
        self._metrics = metrics
        self._heartbeat = heartbeat
        self._on_recovery = on_recovery
        self._away_since: float | None = None
        #: The runs that the ledger was told of, as far as they are in the cache.
        self._submitted: set[str] = set()
        #: Ended runs whose last status was offered. What has ended does not change, so it is asked for once.
        self._ended: dict[str, Record] = {}

    async def run(self) -> None:
        """Work for ever."""
        self._metrics.queued.set_function(lambda: len(self._queue))
        self._metrics.queue_age.set_function(self._queue.oldest_age)
        self._metrics.cached.set_function(lambda: len(self._cache))
        while True:
            self._heartbeat.idle()
            # While the ledger is away all are taken, since all are to be told of it.
            uids = await self._queue.take(most=_CHUNK if self.ledger_answers else None)
            self._heartbeat.busy()
            with self._metrics.round_seconds.time():
                await self._round(uids)

    @property
    def ledger_answers(self) -> bool:
        """Whether the ledger answered the last time that it was asked."""
        return self._away_since is None

    def status_written(self, write: Write, body: Any) -> None:
        """The API server took a status; its answer is the newest state of the object."""
        uid = write.who.uid
        known = self._cache.get(uid)
        seen = self._cache.put(body)
        if seen is not None and (known is None or known.generation != seen.generation):
            # With a change of the spec, of which the watch's word will say nothing new.
            self._queue.add(uid)
        elif write.is_final:
            self._queue.add_after(uid, delay=_until_next(_ACKNOWLEDGE_EVERY_SECONDS))
        else:
            self._queue.add_after(uid, delay=_CHECK_SECONDS)

    def object_changed(self, who: Identity) -> None:
        """A write did not find its object."""
        self._looks.add(who)

    async def _round(self, uids: Sequence[str]) -> None:
        for start in range(0, len(uids), _CHUNK):
            chunk = uids[start : start + _CHUNK]
            self._heartbeat.busy()
            try:
                await self._chunk(chunk)
            except LedgerUnavailable as error:
                self._ledger_failed(error, waiting=uids[start:])
                await asyncio.sleep(_OUTAGE_PAUSE)
                return
            finally:
                for uid in chunk if self.ledger_answers else uids[start:]:
                    self._queue.done(uid)

    async def _chunk(self, uids: Sequence[str]) -> None:
        # Planned before anything is waited for: what is foreseen holds for the objects as they are now.
        foreseen = self._foreseen(uids) if self.ledger_answers else {}
        planned = {uid: self._try_plan(uid, record=record) for uid, record in foreseen.items()}
        if unknown := [uid for uid in uids if uid not in planned]:
            records = await self._view(unknown)
            self._ledger_answered()
            planned |= {uid: self._try_plan(uid, record=records[uid]) for uid in unknown}
        steps = [step for uid in uids for step in planned[uid]]
        if steps:
            await self._carry_out(steps)

    def _try_plan(self, uid: str, *, record: Record | Exception | None) -> list[_Step]:
        """As `_plan`, or the run is put back."""
        try:
            if isinstance(record, Exception):
                raise record
            return self._plan(uid, record=record, ledger_answers=True)
        except Exception as error:
            self._failed(uid, error=error)
            return []

    def _foreseen(self, uids: Sequence[str]) -> dict[str, Record | None]:
        """The records that need not be asked for, for now."""
        records: dict[str, Record | None] = {}
        for uid in uids:
            seen = self._cache.get(uid)
            is_written = self._writer.final_version(uid) is not None
            if is_written and uid in self._ended:
                records[uid] = self._ended[uid]
            elif seen is not None and not is_written and self._is_untouched(seen):
                # Should the ledger have it, as after a restart, the submission does nothing and says so.
                records[uid] = None
            elif self._cache.presence(uid) is Presence.UNKNOWN:
                # Dealt with, or not met yet: nothing is decided about it.
                records[uid] = None
        return records

    def _is_untouched(self, seen: Snapshot) -> bool:
        """Whether nobody has done anything about it, as far as is known here."""
        is_plain = seen.problem is None and seen.spec.cancel is None and not seen.status
        return is_plain and seen.who.uid not in self._submitted

    async def _view(self, uids: Sequence[str]) -> dict[str, Record | Exception | None]:
        try:
            records = await self._ledger.run(commands.view(uids, inline_bytes=json_codec.INLINE_BYTES))
            return dict(zip(uids, records, strict=True))
        except (LedgerUnavailable, LedgerTooOld):
            raise
        except Exception:
            # One record that cannot be read must not hide the others.
            found: dict[str, Record | Exception | None] = {}
            for uid in uids:
                try:
                    call = commands.view([uid], inline_bytes=json_codec.INLINE_BYTES)
                    found[uid] = (await self._ledger.run(call))[0]
                except LedgerUnavailable:
                    raise
                except Exception as error:
                    found[uid] = error
            return found

    def _plan(self, uid: str, *, record: Record | None, ledger_answers: bool) -> list[_Step]:
        """Decide about one run; writes are offered at once, ledger calls are returned."""
        seen = self._cache.get(uid)
        situation = Situation(
            presence=self._cache.presence(uid),
            seen=seen,
            record=record,
            ledger_answers=ledger_answers,
            final_written=self._writer.final_version(uid) is not None,
            default_ttl_seconds=self._settings.default_ttl_seconds,
        )
        self._positions.note(uid, record=record if situation.presence is Presence.PRESENT else None)
        if situation.presence is Presence.GONE:
            self._writer.drop(uid)
        steps: list[_Step] = []
        for action in decide(situation, now=datetime.now(UTC)):
            self._metrics.actions.labels(type(action).__name__).inc()
            match action:
                case WriteStatus():
                    if seen is not None:
                        self._offer(seen, action, record=record)
                case Forget() if not steps:
                    self._forget(uid)
                case Forget():
                    # Only when the ledger has heard what comes before.
                    continue
                case _:
                    steps.append(_Step(uid, self._call(uid, action, seen=seen), action))
        return steps

    def _offer(self, seen: Snapshot, action: WriteStatus, *, record: Record | None) -> None:
        uid = seen.who.uid
        if record is not None and record.phase.is_final:
            # Without what is long: all that matters from now on is that it ended, and when.
            self._ended[uid] = replace(record, spec_json="", result_json="", error_json="", attempts=())
        since = self._queue.in_work_since(uid)
        self._writer.offer(seen.who, action, version=seen.version, since=since)

    def _call(self, uid: str, action: Action, *, seen: Snapshot | None) -> Call[Any]:
        match action:
            case Cancel(mode=mode, reason=reason):
                return commands.cancel(uid, mode, reason)
            case Acknowledge(retain_seconds=retain):
                return commands.acknowledge(uid, retain_seconds=retain)
            case ExpireLater(due=due) if seen is not None:
                who = seen.who
                return commands.expire_later(
                    self._cluster, uid=uid, namespace=who.namespace, name=who.name, due=due
                )
            case Submit() if seen is not None:
                self._submitted.add(uid)
                return commands.submit(self._submission(seen, action))
        raise AssertionError(f"{type(action).__name__} is no ledger call")

    def _submission(self, seen: Snapshot, action: Submit) -> Submission:
        ledger = self._settings.ledger
        if seen.problem is not None:
            return submission_of_unreadable(
                task=seen.spec.task,
                who=seen.who,
                cluster=self._cluster,
                settings=ledger,
                reason=action.born_final or Reason.SPEC_INVALID,
                message=action.message,
            )
        return submission_of(
            seen.spec, who=seen.who, cluster=self._cluster, settings=ledger, born_final=action.born_final
        )

    async def _carry_out(self, steps: Sequence[_Step]) -> None:
        replies = await self._ledger.run_all([step.call for step in steps])
        if not all(isinstance(reply, LedgerUnavailable) for reply in replies):
            self._ledger_answered()
        failed: set[str] = set()
        for step, reply in zip(steps, replies, strict=True):
            if isinstance(reply, LedgerError):
                failed.add(step.uid)
                self._failed(step.uid, error=reply)
                if isinstance(reply, LedgerUnavailable) and isinstance(step.action, Submit):
                    # A server that refuses to write (memory, replica) is as good as away.
                    self._plan(step.uid, record=None, ledger_answers=False)
        for step, reply in zip(steps, replies, strict=True):
            if step.uid in failed:
                continue
            self._queue.forget(step.uid)
            match step.action:
                case Acknowledge():
                    self._forget(step.uid)
                case Submit():
                    # A ledger that was emptied counts its revisions anew.
                    self._writer.drop(step.uid)
                    # Of what is new the ledger's stream tells, and sooner.
                    is_new = isinstance(reply, Submitted) and reply.new
                    self._queue.add_after(step.uid, delay=_CHECK_SECONDS if is_new else 0)
                case Cancel():
                    self._queue.add(step.uid)
                case ExpireLater():
                    self._expires(step.uid, steps=steps)

    def _expires(self, uid: str, *, steps: Sequence[_Step]) -> None:
        """A finished run without a record has nothing to acknowledge: noting its expiry was all."""
        if not any(step.uid == uid and isinstance(step.action, Acknowledge) for step in steps):
            self._forget(uid)

    def _forget(self, uid: str) -> None:
        self._cache.discard(uid)
        self._submitted.discard(uid)
        self._ended.pop(uid, None)
        self._writer.drop(uid)
        self._queue.forget(uid)
        self._positions.note(uid, record=None)

    def _failed(self, uid: str, *, error: Exception) -> None:
        kind = type(error).__name__
        self._metrics.failures.labels(kind).inc()
        pause = self._queue.retry(uid)
        logger.warning(
            "a round over one run failed: %s",
            kind if not isinstance(error, LedgerError) else f"{kind}: {error}",
            extra={"run": uid, "pause": round(pause, 2)},
            exc_info=None if isinstance(error, LedgerError) else error,
        )

    def _ledger_failed(self, error: LedgerUnavailable, *, waiting: Sequence[str]) -> None:
        now = time.monotonic()
        self._metrics.ledger_up.set(0)
        if self._away_since is None:
            self._away_since = now
            logger.warning("the ledger is away; waiting for it: %s", error)
        for uid in waiting:
            self._queue.add(uid)
            if now - self._away_since < _PATIENCE_SECONDS:
                continue
            try:
                self._plan(uid, record=None, ledger_answers=False)
            except Exception as broken:
                self._failed(uid, error=broken)

    def _ledger_answered(self) -> None:
        self._metrics.ledger_up.set(1)
        if self._away_since is not None:
            logger.warning(
                "the ledger is back", extra={"seconds": round(time.monotonic() - self._away_since)}
            )
            self._away_since = None
            self._on_recovery()


def _until_next(seconds: float) -> float:
    """The same moment for all that happens within so many seconds."""
    return seconds - time.monotonic() % seconds
