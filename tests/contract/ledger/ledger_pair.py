"""The real ledger and the model side by side: every call is made on both, and their answers are compared.

The state machine decides when to make which call; this module makes it. Invariant: model and ledger get the
same calls in the same order, so their states may be compared too (`compare`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TypeVar
from uuid import uuid4

import redis
from hypothesis import currently_in_test_context, note

from kelery.errors import RunConflict
from kelery.ledger import commands, queries
from kelery.ledger.commands import Call
from kelery.ledger.sync_client import Ledger
from kelery.ledger.types import Cancelled, ClaimRefused, OnlyIf, Outcome, Submission, SubmissionRefused
from kelery.run.model import CancelMode, QueueUse
from kelery.run.phases import Phase, Reason
from tests.contract.ledger import ledger_facts
from tests.contract.ledger.ledger_facts import Facts, History, promise, promise_equal
from tests.contract.ledger.ledger_model import LedgerModel

T = TypeVar("T")

#: A timer's score, in microseconds, far after the end of any test.
NEVER = 4_000_000_000_000_000


class LedgerPair:
    """One ledger under its own prefix, and its model. Methods are named as the ledger's calls."""

    def __init__(self, client: redis.Redis, *, keys: Sequence[str], workers: Sequence[str]) -> None:
        self.ledger = Ledger(client, prefix=f"pair-{uuid4().hex[:12]}")
        self.queue_key = ledger_facts.queue_key(self.ledger.prefix)
        self.model = LedgerModel()
        self.history = History()
        self.keys = keys
        self.workers = workers
        #: All that were ever submitted.
        self.uids: list[str] = []
        #: All that were ever granted, per run.
        self.fences: dict[str, list[int]] = defaultdict(list)

    def look(self) -> Facts:
        """The ledger's state, and the changes since the last comparison."""
        return ledger_facts.read_facts(
            self.ledger,
            uids=self.uids,
            keys=self.keys,
            workers=self.workers,
            after_event=self.history.last_event,
        )

    def compare(self) -> None:
        """Every promise is kept, and every fact is as the model has it."""
        facts = self.look()
        ledger_facts.check_slots(facts, keys=self.keys)
        self.history.check(facts)
        ledger_facts.check_ways_out(facts)
        ledger_facts.check_register(facts)
        ledger_facts.check_against_model(facts, self.model, keys=self.keys, workers=self.workers)

    def submit(self, submission: Submission) -> None:
        if submission.uid not in self.uids:
            self.uids.append(submission.uid)
        expected = self.model.submit(submission)
        got = self._call(commands.submit(submission))
        promise_equal(got.new, expected, f"whether {submission.uid} is new")
        self._promise_stands(submission.uid, phase=got.phase, reason=got.reason)

    def submit_only_if(self, submission: Submission, conditions: Collection[OnlyIf]) -> None:
        if submission.uid not in self.uids:
            self.uids.append(submission.uid)
        broken = self.model.in_the_way(submission, conditions)
        got = self._call(commands.submit_only_if(submission, conditions))
        if isinstance(got, SubmissionRefused):
            promise(
                got.other in broken.get(got.because_not, ()),
                f"{submission.uid} was refused: {got}; in its way is {broken}",
            )
            return
        promise_equal(broken, {}, f"what {submission.uid} had to give way to")
        promise_equal(got.new, self.model.submit(submission), f"whether {submission.uid} is new")
        self._promise_stands(submission.uid, phase=got.phase, reason=got.reason)

    def submit_conflicting(self, submission: Submission) -> None:
        """`submission` has a known uid and another hash."""
        try:
            self._call(commands.submit(submission))
        except RunConflict:
            return
        promise(False, f"another spec for {submission.uid} was taken")

    def cancel(self, uid: str, *, mode: CancelMode, reason: Reason, message: str) -> None:
        expected = self.model.cancel(uid, mode, reason, message)
        got = self._call(commands.cancel(uid, mode, reason, message=message))
        promise_equal(_verdict(got), expected, f"cancel of {uid}")
        self._promise_stands(uid, phase=got.phase, reason=got.reason)

    def delete(self, uid: str) -> None:
        expected = self.model.delete(uid)
        got = self._call(commands.delete(uid))
        promise_equal(_verdict(got), expected, f"delete of {uid}")
        self._promise_stands(uid, phase=got.phase, reason=got.reason)

    def queues(self) -> None:
        """A look removes the unused queues from the list. A queue that is used again comes back."""
        running = sum(run.phase.is_claimed for run in self.model.runs.values())
        use = QueueUse(queue="celery", messages=len(self.model.queue), running=running)
        in_use = [use] if use.messages or use.running else []
        promise_equal(self._call(queries.queues()), in_use, "the queues in use")

    def acknowledge(self, uid: str) -> None:
        expected = self.model.acknowledge(uid)
        got = self._call(commands.acknowledge(uid, retain_seconds=3600))
        promise_equal(got, expected, f"acknowledge of {uid}")

    def claim(self, uid: str, *, attempt: int, worker: str, nonce: str) -> None:
        expected = self.model.claim(uid, attempt=attempt, worker=worker, nonce=nonce)
        got = self._call(commands.claim(uid, attempt=attempt, worker=worker, nonce=nonce))
        if isinstance(got, ClaimRefused):
            promise_equal(got.why, expected, f"A4: claim of {uid}")
            return
        promise(expected in ("new", "again"), f"A4: a claim of {uid} was granted that is {expected}")
        if expected == "new":
            self.history.granted(got.fence)
            self.fences[uid].append(got.fence)
            self.model.granted(uid, got.fence)
        run = self.model.runs[uid]
        promise_equal(
            (got.fence, got.keyed, got.cancel, got.grace_seconds),
            (run.fence, bool(run.key), run.cancel, run.submission.spec.cancel_grace_period_seconds),
            f"the claim of {uid}",
        )

    def renew(self, worker: str, *, claims: Sequence[tuple[str, int]]) -> None:
        statuses, left_out = self.model.renew(worker, claims)
        got = self._call(commands.renew(worker, claims))
        promise_equal(got.statuses, dict(zip(claims, statuses, strict=True)), f"renewals of {worker}")
        promise_equal(set(got.orphans), left_out, f"claims that {worker} did not name")

    def stage(self, uid: str, fence: int, *, outcome: Outcome) -> None:
        expected = self.model.stage(uid, fence, outcome)
        promise_equal(
            self._call(commands.stage(uid, fence, outcome)), expected, f"stage of {uid} with {fence}"
        )

    def settle(self, uid: str, fence: int, *, outcome: Outcome) -> None:
        expected = self.model.settle(uid, fence, outcome)
        got = self._call(commands.settle(uid, fence, outcome))
        promise_equal(got.verdict, expected, f"A5: settle of {uid} with fence {fence}")
        self._promise_stands(uid, phase=got.phase, reason=got.reason)

    def start(self, uid: str, fence: int) -> None:
        expected = self.model.start(uid, fence)
        promise_equal(
            self._call(commands.start(uid, fence, pid=1)), expected, f"A4: start of {uid} with fence {fence}"
        )

    def handback(self, uid: str, fence: int) -> None:
        expected = self.model.handback(uid, fence)
        promise_equal(self._call(commands.handback(uid, fence)), expected, f"handback of {uid} with {fence}")

    def progress(self, uid: str, fence: int) -> None:
        expected = self.model.progress(uid, fence)
        got = self._call(commands.progress(uid, fence, '{"current":1}'))
        promise_equal(got, expected, f"progress of {uid} with {fence}")

    def reclaim(self, uid: str, *, lease: str) -> None:
        expected = self.model.reclaim(uid, lease)
        got = self._call(commands.reclaim(uid, lease))
        promise_equal(got, expected, f"A6: reclaim of {uid} at lease {lease}")

    def tick(self, due: Sequence[str], *, long_ago: bool = False) -> None:
        """Make only these timers due, in this order, by rewriting their scores. Waits for nothing.

        `long_ago`: their messages are so old that they are pushed again even if the queue is busy.
        """
        scores = dict.fromkeys(self.timers(), NEVER) | {timer: i for i, timer in enumerate(due)}
        if scores:
            self.ledger.client.zadd(f"{self.ledger.prefix}:timers", scores)
        for timer in due:
            kind, _, uid = timer.partition("|")
            if kind == "redispatch" and long_ago:
                self.ledger.client.hset(f"{self.ledger.prefix}:run:{uid}", "pushed_at", 1)
            self.model.fire(timer, long_ago=long_ago)
        got = self._call(commands.tick(leases=True))
        promise_equal(got.done, len(due), "timers that acted")
        claimed = [run for run in self.model.runs.values() if run.phase.is_claimed]
        promise_equal(got.leases, {run.uid: run.lease for run in claimed}, "leases to observe")

    def timers(self) -> list[str]:
        """The timers that the ledger must have, according to the model."""
        return sorted(timer for run in self.model.runs.values() for timer in run.timers())

    def lose_a_message(self) -> None:
        """Delete the oldest message."""
        lost = self.model.queue.pop()
        promise(self.ledger.client.rpop(self.queue_key), f"a message for {lost.uid}, which was admitted")

    def double_a_message(self, index: int) -> None:
        self.ledger.client.lpush(self.queue_key, str(self.ledger.client.lindex(self.queue_key, index)))
        self.model.queue.insert(0, self.model.queue[index])

    def work_to_the_end(self) -> None:
        """Nothing is stuck: ordinary work brings every run to its end, and nothing stays held."""
        # Each turn ends an attempt of every run that holds a slot, so few can be needed.
        for _ in range(4 * len(self.uids) + 4):
            facts = self.look()
            live = [run for run in facts.records.values() if not run.phase.is_final]
            if not live:
                break
            self.tick(sorted(timer for timer in facts.timers if timer.startswith("retry|")))
            for run in live:
                if run.phase is Phase.ADMITTED and run.reason == Reason.WAITING_FOR_WORKER:
                    self.claim(run.uid, attempt=run.attempt, worker=self.workers[0], nonce="last")
                elif run.phase.is_claimed:
                    outcome = Outcome(kind="succeeded", result_json="1")
                    self.settle(run.uid, run.fence, outcome=outcome)
            self.compare()
        facts = self.look()
        stuck = [run.uid for run in facts.records.values() if not run.phase.is_final]
        promise_equal(stuck, [], "A3: the runs that ordinary work does not end")
        held = (facts.hold, facts.leases)
        promise_equal(held, ({key: {} for key in self.keys}, {}), "what is held at the end")

    def forget_everything(self) -> None:
        """After every end is acknowledged and the retention time is over, no data is left."""
        for uid in self.uids:
            self.acknowledge(uid)
        self.tick(self.timers())
        while self.model.queue:
            self.lose_a_message()
        self.queues()
        prefix = self.ledger.prefix
        allowed = {f"{prefix}:meta", f"{prefix}:events"}
        promise_equal(self._written() - allowed, set(), "what stays behind")

    def wipe(self) -> None:
        """Remove all keys of the prefix."""
        if written := self._written():
            self.ledger.client.delete(*written)

    def _written(self) -> set[str]:
        return set(self.ledger.client.keys(f"{self.ledger.prefix}:*"))

    def _call(self, call: Call[T]) -> T:
        """Ask the ledger, and leave a line for the failing example."""
        function, _, _, _, *args = call.words("")[1:]
        reply = self.ledger.run(call)
        # A recorded sequence is replayed without Hypothesis.
        if currently_in_test_context():
            note(f"{function} {' '.join(map(str, args))} -> {reply}")
        return reply

    def _promise_stands(self, uid: str, *, phase: Phase | None, reason: str) -> None:
        run = self.model.runs.get(uid)
        expected = (run.phase, run.reason) if run else (None, "")
        promise_equal((phase, reason), expected, f"the answer about {uid}")


def _verdict(got: Cancelled) -> str:
    if not got.known:
        return "gone"
    return "changed" if got.changed else "unchanged"
