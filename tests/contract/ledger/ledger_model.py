"""What the ledger promises, as plain Python without Redis: the state machine compares the real one with it.

Written from the contract (the headers of the Lua library and the guarantees), not from its code: it keeps no
sorted sets and no slots, but asks all runs each time. Invariant: every method leaves no waiter that could be
admitted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kelery.ledger.types import OnlyIf, Outcome, Submission
from kelery.run.model import CancelMode, Policy
from kelery.run.phases import Phase, Reason
from tests.contract.ledger.ledger_listing import Listing
from tests.contract.ledger.ledger_model_run import Message, ModelRun

HELD = (Phase.ADMITTED, Phase.RUNNING, Phase.CANCELLING)
#: A run that is born final with one of these is Cancelled; with any other reason it is Failed.
BORN_CANCELLED = (Reason.CANCELLED_AT_CREATE, Reason.CANCELLED_BY_USER)
ATTEMPTS_KEPT = 5


class LedgerModel:
    """All runs and the queue. Methods are named and answer as the ledger's calls do."""

    def __init__(self) -> None:
        self.runs: dict[str, ModelRun] = {}
        #: Newest first, as LPUSH makes it.
        self.queue: list[Message] = []
        self.listing = Listing()
        self._steps = 0

    def holders(self, key: str) -> list[ModelRun]:
        """The holders of a slot, oldest admission first."""
        held = [run for run in self.runs.values() if run.key == key and run.phase in HELD]
        return sorted(held, key=lambda run: run.admitted)

    def waiters(self, key: str) -> list[ModelRun]:
        """The waiters, next one first."""
        waiting = [run for run in self.runs.values() if run.key == key and run.phase is Phase.WAITING]
        return sorted(waiting, key=lambda run: (-run.submission.spec.priority, run.arrival))

    def ever_admitted(self, key: str) -> list[str]:
        """The listed runs of the key that had a slot once, in the order in which they got it."""
        runs = [
            run
            for run in self.runs.values()
            if run.key == key and run.admitted and run.uid in self.listing.uids
        ]
        return [run.uid for run in sorted(runs, key=lambda run: run.admitted)]

    def in_the_way(
        self, submission: Submission, conditions: Collection[OnlyIf]
    ) -> dict[OnlyIf, Collection[str]]:
        """The conditions that do not hold, and the runs that may be named as the cause."""
        if submission.uid in self.runs:
            return {}
        newcomer = ModelRun(submission=submission, arrival=0, run_message=submission.run_message)
        broken: dict[OnlyIf, Collection[str]] = {}
        has_room = not self.waiters(newcomer.key) and self._fits(newcomer)
        if OnlyIf.ROOM in conditions and newcomer.key and not has_room:
            broken[OnlyIf.ROOM] = [holder.uid for holder in self.holders(newcomer.key)]
        namesakes = self.listing.live_of_name(submission.name)
        if OnlyIf.FREE_NAME in conditions and namesakes:
            broken[OnlyIf.FREE_NAME] = namesakes
        return broken

    def submit(self, submission: Submission) -> bool:
        """Whether the run is new."""
        if submission.uid in self.runs:
            return False
        run = ModelRun(submission=submission, arrival=self._step(), run_message=submission.run_message)
        self.runs[run.uid] = run
        self.listing.add(run)
        born = submission.born_final
        if born is not None:
            self._end(run, Phase.CANCELLED if born in BORN_CANCELLED else Phase.FAILED, born.value)
        elif not run.key:
            self._admit(run)
        else:
            self._queue_up(run)
        return True

    def claim(self, uid: str, *, attempt: int, worker: str, nonce: str) -> str:
        """Granted ("new" or "again"), or why not. The ledger chooses a new one's fence: see `granted`."""
        run = self.runs.get(uid)
        if run is None:
            return "gone"
        if run.phase.is_final:
            return "final"
        if run.phase.is_claimed and (run.attempt, run.worker, run.nonce) == (attempt, worker, nonce):
            return "again"
        if not run.waits_for_worker or run.attempt != attempt:
            return "stale"
        run.phase, run.reason, run.worker, run.nonce = Phase.RUNNING, Reason.STARTED.value, worker, nonce
        run.ever_claimed, run.renewals = True, 1
        return "new"

    def granted(self, uid: str, fence: int) -> None:
        """The ledger gave this fence to the claim just made."""
        self.runs[uid].fence = fence

    def renew(self, worker: str, claims: Sequence[tuple[str, int]]) -> tuple[list[str], set[tuple[str, int]]]:
        """A status per claim, and the claims of the worker that it did not name."""
        statuses, named = [], set()
        for uid, fence in claims:
            run = self._current(uid, fence)
            if run is None or run.worker != worker:
                statuses.append("fenced")
                continue
            run.renewals += 1
            named.add(uid)
            statuses.append(run.cancel or "ok")
        claimed = [run for run in self.runs.values() if run.phase.is_claimed and run.worker == worker]
        return statuses, {(run.uid, run.fence) for run in claimed if run.uid not in named}

    def start(self, uid: str, fence: int) -> bool:
        """Whether the body may begin: once a claim, and not when it is asked to stop."""
        run = self._current(uid, fence)
        if run is None or run.begun_fence == fence or run.phase is Phase.CANCELLING:
            return False
        run.begun_fence = fence
        return True

    def stage(self, uid: str, fence: int, outcome: Outcome) -> bool:
        run = self._current(uid, fence)
        if run is not None:
            run.staged = outcome
        return run is not None

    def settle(self, uid: str, fence: int, outcome: Outcome) -> str:
        run = self.runs.get(uid)
        if run is None or run.fence != fence:
            return "fenced"
        if not run.phase.is_claimed:
            return "already"
        self._conclude(run, outcome)
        return "ok"

    def handback(self, uid: str, fence: int) -> bool:
        run = self._current(uid, fence)
        if run is None or run.begun_fence == fence:
            return False
        if run.phase is Phase.CANCELLING:
            self._end(run, Phase.CANCELLED, run.cancel_reason)
        else:
            self._ring(run)
        return True

    def progress(self, uid: str, fence: int) -> bool:
        return self._current(uid, fence) is not None

    def cancel(self, uid: str, mode: CancelMode, reason: Reason, message: str) -> str:
        """Whether the run is "gone", "changed" or "unchanged"."""
        run = self.runs.get(uid)
        if run is None:
            return "gone"
        if reason is Reason.DELETED:
            self.listing.remove(run)
        return self._stop(run, mode, reason, message)

    def delete(self, uid: str) -> str:
        """As `cancel`."""
        run = self.runs.get(uid)
        if run is None:
            return "gone"
        if run.deleted:
            return "unchanged"
        run.deleted = True
        self.listing.remove(run)
        self._stop(run, CancelMode.GRACEFUL, Reason.DELETED, "")
        return "changed"

    def reclaim(self, uid: str, lease: str) -> bool:
        run = self.runs.get(uid)
        if run is None or not run.phase.is_claimed or run.lease != lease:
            return False
        self._conclude(run, Outcome(kind="failed", reason=Reason.WORKER_LOST))
        return True

    def acknowledge(self, uid: str) -> bool:
        """False while the run is live."""
        run = self.runs.get(uid)
        if run is None:
            return True
        run.purge_scheduled = run.purge_scheduled or run.phase.is_final
        return run.phase.is_final

    def fire(self, timer: str, *, long_ago: bool) -> None:
        """A timer is due. `long_ago`: the message is old enough for a push even if the queue is busy."""
        kind, _, uid = timer.partition("|")
        run = self.runs.get(uid)
        if run is None or timer not in run.timers():
            return
        if kind == "queue":
            self._end(run, Phase.FAILED, Reason.QUEUE_TIMEOUT.value)
        elif kind == "retry":
            self._ring(run)
        elif kind == "purge":
            self.listing.remove(run)
            del self.runs[uid]
        elif not self.queue or long_ago:
            self._push(run)

    def _step(self) -> int:
        self._steps += 1
        return self._steps

    def _current(self, uid: str, fence: int) -> ModelRun | None:
        run = self.runs.get(uid)
        return run if run is not None and run.phase.is_claimed and run.fence == fence else None

    def _push(self, run: ModelRun) -> None:
        self.queue.insert(0, Message(head=run.run_message.head, uid=run.uid, attempt=run.attempt))

    def _ring(self, run: ModelRun) -> None:
        run.phase, run.reason = Phase.ADMITTED, Reason.WAITING_FOR_WORKER.value
        run.worker, run.nonce, run.staged = "", "", None
        self._push(run)

    def _admit(self, run: ModelRun) -> None:
        run.admitted = self._step()
        self._ring(run)

    def _fits(self, run: ModelRun) -> bool:
        holders = self.holders(run.key)
        return len(holders) < min([run.limit, *(holder.limit for holder in holders)])

    def _pump(self, key: str) -> None:
        while key and (waiters := self.waiters(key)) and self._fits(waiters[0]):
            self._admit(waiters[0])

    def _queue_up(self, run: ModelRun) -> None:
        concurrency = run.submission.spec.concurrency
        assert concurrency is not None
        others = [other for other in self.waiters(run.key) if other is not run]
        if others or not self._fits(run):
            if concurrency.policy is Policy.REJECT:
                return self._end(run, Phase.FAILED, Reason.CONCURRENCY_REJECTED.value)
            if concurrency.policy in (Policy.REPLACE, Policy.QUEUE_LATEST):
                for other in others:
                    self._finish(other, Phase.CANCELLED, Reason.SUPERSEDED.value)
            if concurrency.policy is Policy.REPLACE:
                self._replace_holders(run)
        self._pump(run.key)

    def _replace_holders(self, run: ModelRun) -> None:
        staying = [holder for holder in self.holders(run.key) if holder.phase is not Phase.CANCELLING]
        while staying and len(staying) >= min([run.limit, *(holder.limit for holder in staying)]):
            oldest = staying.pop(0)
            if oldest.phase is Phase.RUNNING:
                self._ask_to_stop(oldest, "graceful", Reason.SUPERSEDED.value)
            else:
                self._finish(oldest, Phase.CANCELLED, Reason.SUPERSEDED.value)

    def _stop(self, run: ModelRun, mode: CancelMode, reason: Reason, message: str) -> str:
        if run.phase.is_final or run.cancel in ("force", mode.value.lower()):
            return "unchanged"
        if run.phase is not Phase.CANCELLING:
            run.cancel_message = message
        if run.phase.is_claimed:
            self._ask_to_stop(run, mode.value.lower(), reason.value)
        else:
            self._end(run, Phase.CANCELLED, reason.value)
        return "changed"

    def _ask_to_stop(self, run: ModelRun, mode: str, reason: str) -> None:
        if run.phase is Phase.RUNNING:
            run.phase, run.reason, run.cancel_reason = Phase.CANCELLING, reason, reason
        run.cancel = mode

    def _finish(self, run: ModelRun, phase: Phase, reason: str) -> None:
        run.phase, run.reason = phase, reason
        run.purge_scheduled = run.submission.retain_seconds is not None

    def _end(self, run: ModelRun, phase: Phase, reason: str) -> None:
        self._finish(run, phase, reason)
        self._pump(run.key)

    def _conclude(self, run: ModelRun, said: Outcome) -> None:
        outcome = run.staged or said
        # An attempt that was stopped at its time limit has timed out. One that returned before has returned.
        if said.reason is Reason.TIMEOUT and outcome.kind != "succeeded":
            outcome = said
        reason = outcome.reason.value
        if outcome.kind == "succeeded":
            run.result = outcome.result_json
            self._remember(run, Reason.COMPLETED.value)
            self._end(run, Phase.SUCCEEDED, Reason.COMPLETED.value)
        elif run.phase is Phase.CANCELLING:
            self._remember(run, run.cancel_reason)
            self._end(run, Phase.CANCELLED, run.cancel_reason)
        elif outcome.kind == "retry":
            self._remember(run, Reason.RETRIED.value)
            run.run_message = outcome.run_message or run.run_message
            self._back_off(run, outcome.delay_seconds)
        elif run.retries_used + 1 < run.retry.max_attempts and outcome.reason in run.retry.reasons:
            self._remember(run, reason)
            self._retry_by_spec(run, outcome.reason)
        else:
            self._remember(run, reason)
            self._end(run, Phase.FAILED, reason)

    def _retry_by_spec(self, run: ModelRun, reason: Reason) -> None:
        # After an error, the next attempt uses the submitted message. After a loss, it uses the current one.
        if reason is Reason.TASK_ERROR:
            run.run_message = run.submission.run_message
        delay = min(run.retry.backoff_seconds * 2**run.retries_used, run.retry.max_backoff_seconds)
        run.retries_used += 1
        self._back_off(run, delay)

    def _back_off(self, run: ModelRun, delay_seconds: float) -> None:
        run.attempt += 1
        run.worker, run.nonce, run.staged = "", "", None
        run.phase, run.reason, run.backoff_seconds = Phase.ADMITTED, Reason.RETRY_BACKOFF.value, delay_seconds
        if delay_seconds <= 0:
            self._ring(run)

    def _remember(self, run: ModelRun, reason: str) -> None:
        run.attempts = [(run.attempt, reason, run.fence, run.worker), *run.attempts][:ATTEMPTS_KEPT]
