"""The state machine: any calls in any order, the same on the real ledger and on the model, then a comparison.

It stands between the tests that run it (`test_state_machine`, `test_planted_faults`) and the checks
(`ledger_facts`). Invariant of its own: an example depends on nothing but its choices. So each has a prefix of
its own, and no timer is ever waited for: `tick` makes the chosen ones due by rewriting their scores, and puts
the others off for years.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar
from uuid import uuid4

import redis
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.contract.ledger import ledger_facts
from tests.contract.ledger.ledger_choices import (
    BORN,
    KEYS,
    NONCES,
    OUTCOMES,
    RIVALS,
    SPECS,
    STOP_REASONS,
    WORKERS,
    one_of,
    some_of,
)
from tests.contract.ledger.ledger_facts import CLUSTER, HEAD_END, History, promise, promise_equal
from tests.contract.ledger.ledger_model import LedgerModel, ModelRun

from kelery.doorbell import Doorbell
from kelery.errors import RunConflict
from kelery.ledger import calls
from kelery.ledger.calls import Call
from kelery.ledger.library import SOURCE
from kelery.ledger.messages import Claim, ClaimRefused, Outcome, Submission
from kelery.ledger.sync import Ledger
from kelery.model import CancelMode, RunSpec
from kelery.phases import Phase, Reason

T = TypeVar("T")

NEVER = 4_000_000_000_000_000


class LedgerMachine(RuleBasedStateMachine):
    """Bound to a server, and to the library that it is to run, by `machine_for`."""

    client: ClassVar[redis.Redis]
    source: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(self.client, prefix=f"machine-{uuid4().hex[:12]}")
        self.model = LedgerModel()
        self.history = History()
        self.uids: list[str] = []
        self.keys = [f"ns/{key}" for key in dict.fromkeys(KEYS)]
        #: All that were ever granted, per run.
        self.fences: dict[str, list[int]] = defaultdict(list)
        self._raised_around_us = sys.exc_info()[1]

    # What the rules choose from

    def runs(self, wanted: Callable[[ModelRun], object]) -> list[str]:
        return [uid for uid, run in self.model.runs.items() if wanted(run)]

    def claimed(self) -> list[str]:
        return self.runs(lambda run: run.phase.is_claimed)

    def admitted(self) -> list[str]:
        return self.runs(lambda run: run.phase is Phase.ADMITTED)

    def granted(self) -> list[tuple[str, int]]:
        return [(uid, fence) for uid, fences in self.fences.items() for fence in fences]

    def current(self) -> list[tuple[str, int]]:
        return [(uid, self.model.runs[uid].fence) for uid in self.claimed()]

    def fenced_off(self) -> list[tuple[str, int]]:
        """Claims of runs that another claim has now; if there are none, any that ever was."""
        current = dict(self.current())
        late = [(uid, fence) for uid, fence in self.granted() if current.get(uid, fence) != fence]
        return late or self.granted()

    def timers(self) -> list[str]:
        return sorted(timer for run in self.model.runs.values() for timer in run.timers())

    # Rules: from the doors

    @initialize(specs=st.lists(SPECS, min_size=2, max_size=6))
    def submit_some(self, specs: list[RunSpec]) -> None:
        """Most of what can go wrong needs several runs of a key."""
        for spec in specs:
            self.submit(spec, None, None)

    @rule(specs=st.lists(SPECS, min_size=1, max_size=3))
    def submit_more(self, specs: list[RunSpec]) -> None:
        for spec in specs:
            self.submit(spec, None, None)

    @rule(spec=RIVALS)
    def submit_rival(self, spec: RunSpec) -> None:
        self.submit(spec, None, None)

    @rule(spec=SPECS, born=BORN, retain_seconds=st.sampled_from([None, 3600]))
    def submit(self, spec: RunSpec, born: Reason | None, retain_seconds: int | None) -> None:
        uid = f"run-{len(self.uids)}"
        self.uids.append(uid)
        self._submit(
            Submission(
                uid=uid,
                cluster=CLUSTER,
                namespace="ns",
                name=uid,
                origin="TaskRun",
                spec=spec,
                spec_json="{}",
                spec_hash="as submitted",
                queue="celery",
                queue_key=ledger_facts.queue_key(self.ledger.prefix),
                doorbell=Doorbell(head="first" + HEAD_END, tail=HEAD_END),
                born_final=born,
                retain_seconds=retain_seconds,
            )
        )

    @precondition(lambda self: self.model.runs)
    @rule(uid=one_of(lambda self: list(self.model.runs)))
    def submit_again(self, uid: str) -> None:
        self._submit(self.model.runs[uid].submission)

    @precondition(lambda self: self.model.runs)
    @rule(uid=one_of(lambda self: list(self.model.runs)))
    def submit_again_with_another_spec(self, uid: str) -> None:
        known = self.model.runs[uid].submission
        other = Submission(
            **{name: getattr(known, name) for name in known.__slots__} | {"spec_hash": "other"}
        )
        try:
            self.ledger.run(calls.submit(other))
        except RunConflict:
            return
        promise(False, f"another spec for {uid} was taken")

    @precondition(lambda self: self.uids)
    @rule(uid=one_of(lambda self: self.uids), mode=st.sampled_from(CancelMode), reason=STOP_REASONS)
    def cancel(self, uid: str, mode: CancelMode, reason: Reason) -> None:
        expected = self.model.cancel(uid, mode, reason)
        got = self._call(calls.cancel(uid, mode, reason))
        said = "gone" if not got.known else "changed" if got.changed else "unchanged"
        promise_equal(said, expected, f"cancel of {uid}")
        self._promise_stands(uid, got.phase, got.reason)

    @precondition(lambda self: self.uids)
    @rule(uid=one_of(lambda self: self.uids))
    def acknowledge(self, uid: str) -> None:
        expected = self.model.acknowledge(uid)
        got = self._call(calls.acknowledge(uid, retain_seconds=3600))
        promise_equal(got, expected, f"acknowledge of {uid}")

    # Rules: from the workers

    @precondition(lambda self: self.model.queue)
    @rule(worker=st.sampled_from(WORKERS), nonce=st.sampled_from(NONCES))
    def take_a_message_and_claim(self, worker: str, nonce: str) -> None:
        message = self.model.queue[-1]
        self.lose_a_message()
        self._claim(message.uid, attempt=message.attempt, worker=worker, nonce=nonce)

    @precondition(lambda self: self.admitted())
    @rule(
        uid=one_of(lambda self: self.admitted()),
        worker=st.sampled_from(WORKERS),
        nonce=st.sampled_from(NONCES),
    )
    def claim_while_the_message_stays(self, uid: str, worker: str, nonce: str) -> None:
        self._claim(uid, attempt=self.model.runs[uid].attempt, worker=worker, nonce=nonce)

    @precondition(lambda self: self.admitted())
    @rule(worker=st.sampled_from(WORKERS), nonce=st.sampled_from(NONCES))
    def claim_all_that_are_admitted(self, worker: str, nonce: str) -> None:
        for uid in self.admitted():
            self._claim(uid, attempt=self.model.runs[uid].attempt, worker=worker, nonce=nonce)

    @precondition(lambda self: self.uids)
    @rule(
        uid=one_of(lambda self: self.uids),
        attempt=st.integers(1, 3),
        worker=st.sampled_from(WORKERS),
        nonce=st.sampled_from(NONCES),
    )
    def claim_anything(self, uid: str, attempt: int, worker: str, nonce: str) -> None:
        self._claim(uid, attempt=attempt, worker=worker, nonce=nonce)

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed()), worker=st.sampled_from(["its own", *WORKERS]))
    def claim_what_is_claimed(self, uid: str, worker: str) -> None:
        run = self.model.runs[uid]
        self._claim(
            uid, attempt=run.attempt, worker=run.worker if worker == "its own" else worker, nonce=run.nonce
        )

    @rule(worker=st.sampled_from(WORKERS), claims=some_of(lambda self: self.current() or self.granted()))
    def renew(self, worker: str, claims: list[tuple[str, int]]) -> None:
        statuses, left_out = self.model.renew(worker, claims)
        got = self._call(calls.renew(worker, claims))
        promise_equal(got.statuses, dict(zip(claims, statuses, strict=True)), f"renewals of {worker}")
        promise_equal(set(got.orphans), left_out, f"claims that {worker} did not name")

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed()), outcome=OUTCOMES)
    def settle(self, uid: str, outcome: Outcome) -> None:
        self._settle(uid, self.model.runs[uid].fence, outcome)

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed()), outcome=OUTCOMES)
    def stage(self, uid: str, outcome: Outcome) -> None:
        self._stage(uid, self.model.runs[uid].fence, outcome)

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed()))
    def handback(self, uid: str) -> None:
        self._handback(uid, self.model.runs[uid].fence)

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed()), worker=st.sampled_from(WORKERS))
    def change_hands(self, uid: str, worker: str) -> None:
        """Leaves a fenced-off claim of a run that goes on."""
        self.handback(uid)
        if uid in self.admitted():
            self._claim(uid, attempt=self.model.runs[uid].attempt, worker=worker, nonce="n3")

    @precondition(lambda self: self.granted())
    @rule(
        claim=one_of(lambda self: self.fenced_off()),
        words=st.sampled_from(["settle", "stage", "handback", "progress", "renew"]),
        outcome=OUTCOMES,
    )
    def speak_late(self, claim: tuple[str, int], words: str, outcome: Outcome) -> None:
        if words == "settle":
            self._settle(*claim, outcome)
        elif words == "stage":
            self._stage(*claim, outcome)
        elif words == "handback":
            self._handback(*claim)
        elif words == "renew":
            self.renew("w1", [claim])
        else:
            self._progress(*claim)

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed()))
    def progress(self, uid: str) -> None:
        self._progress(uid, self.model.runs[uid].fence)

    # Rules: from the observers

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed()))
    def reclaim_what_stood_still(self, uid: str) -> None:
        self._reclaim(uid, self.model.runs[uid].lease)

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed()))
    def reclaim_what_moved(self, uid: str) -> None:
        """The observer looked, then the worker renewed after all."""
        run = self.model.runs[uid]
        seen = run.lease
        self.renew(run.worker, [(uid, run.fence)])
        self._reclaim(uid, seen)

    @precondition(lambda self: self.granted())
    @rule(claim=one_of(lambda self: self.granted()), counter=st.integers(1, 3))
    def reclaim_with_any_lease(self, claim: tuple[str, int], counter: int) -> None:
        uid, fence = claim
        self._reclaim(uid, f"{fence}:{counter}")

    @rule(due=some_of(lambda self: self.timers()), long_ago=st.booleans())
    def tick(self, due: list[str], long_ago: bool) -> None:
        scores = dict.fromkeys(self.timers(), NEVER) | {timer: i for i, timer in enumerate(due)}
        if scores:
            self.client.zadd(f"{self.ledger.prefix}:timers", scores)
        for timer in due:
            kind, _, uid = timer.partition("|")
            if kind == "redispatch" and long_ago:
                self.client.hset(f"{self.ledger.prefix}:run:{uid}", "pushed_at", 1)
            self.model.fire(timer, long_ago=long_ago)
        got = self._call(calls.tick(leases=True))
        promise_equal(got.done, len(due), "timers that acted")
        leases = {uid: self.model.runs[uid].lease for uid in self.claimed()}
        promise_equal(got.leases, leases, "leases to observe")

    # Rules: what goes wrong around it

    @precondition(lambda self: self.model.queue)
    @rule()
    def lose_a_message(self) -> None:
        self.model.queue.pop()
        promise(
            self.client.rpop(ledger_facts.queue_key(self.ledger.prefix)), "a message for what was admitted"
        )

    @precondition(lambda self: self.model.queue)
    @rule(index=one_of(lambda self: list(range(len(self.model.queue)))))
    def double_a_message(self, index: int) -> None:
        queue = ledger_facts.queue_key(self.ledger.prefix)
        self.client.lpush(queue, str(self.client.lindex(queue, index)))
        self.model.queue.insert(0, self.model.queue[index])

    @rule()
    def lose_the_functions(self) -> None:
        self.client.function_flush()
        if self.source != SOURCE:
            # `Ledger` loads the shipped library itself, at its next call; a mutated one it cannot know.
            self.client.function_load(self.source, replace=True)

    # What must hold after every step, and at the end

    @invariant()
    def promises_are_kept(self) -> None:
        facts = self._look()
        ledger_facts.check_slots(facts, keys=self.keys)
        self.history.check(facts)
        ledger_facts.check_ways_out(facts)
        ledger_facts.check_against_model(facts, self.model, keys=self.keys, workers=WORKERS)

    def teardown(self) -> None:
        """Nothing is stuck: whatever the example left behind, ordinary work brings every run to its end."""
        try:
            if sys.exc_info()[1] is self._raised_around_us:
                self._work_to_the_end()
                self._forget_everything()
        finally:
            self.client.delete(*self.client.keys(f"{self.ledger.prefix}:*"), "kelery_v1:none")

    def _work_to_the_end(self) -> None:
        # Each turn ends an attempt of every run that holds a slot; so few can be needed.
        for _ in range(4 * len(self.uids) + 4):
            facts = self._look()
            live = [run for run in facts.records.values() if not run.phase.is_final]
            if not live:
                break
            self.tick([timer for timer in self.timers() if timer.startswith("retry|")], False)
            for run in live:
                if run.phase is Phase.ADMITTED and run.reason == Reason.WAITING_FOR_WORKER:
                    self._claim(run.uid, attempt=run.attempt, worker="w1", nonce="last")
                elif run.phase.is_claimed:
                    self._settle(run.uid, run.fence, Outcome(kind="succeeded", result_json="1"))
            self.promises_are_kept()
        facts = self._look()
        stuck = [run.uid for run in facts.records.values() if not run.phase.is_final]
        promise_equal(stuck, [], "A3: the runs that ordinary work does not end")
        promise_equal(
            (facts.hold, facts.leases), ({key: {} for key in self.keys}, {}), "what is held at the end"
        )

    def _forget_everything(self) -> None:
        for uid in self.uids:
            self.acknowledge(uid)
        self.tick(self.timers(), False)
        prefix = self.ledger.prefix
        allowed = {f"{prefix}:meta", f"{prefix}:events", ledger_facts.queue_key(prefix)}
        promise_equal(set(self.client.keys(f"{prefix}:*")) - allowed, set(), "what stays behind")

    # One call on both

    def _call(self, call: Call[T]) -> T:
        words, reply = call.words("")[1:], self.ledger.run(call)
        note(f"{words[0]} {' '.join(map(str, words[4:]))} -> {reply}")
        return reply

    def _look(self) -> ledger_facts.Facts:
        return ledger_facts.read_facts(
            self.ledger,
            uids=self.uids,
            keys=self.keys,
            workers=WORKERS,
            after_event=self.history.last_event,
        )

    def _promise_stands(self, uid: str, phase: Phase | None, reason: str) -> None:
        run = self.model.runs.get(uid)
        expected = (run.phase, run.reason) if run else (None, "")
        promise_equal((phase, reason), expected, f"the answer about {uid}")

    def _submit(self, submission: Submission) -> None:
        expected = self.model.submit(submission)
        got = self._call(calls.submit(submission))
        promise_equal(got.new, expected, f"whether {submission.uid} is new")
        self._promise_stands(submission.uid, got.phase, got.reason)

    def _claim(self, uid: str, *, attempt: int, worker: str, nonce: str) -> None:
        expected = self.model.claim(uid, attempt=attempt, worker=worker, nonce=nonce)
        got = self._call(calls.claim(uid, attempt=attempt, worker=worker, nonce=nonce))
        if isinstance(got, ClaimRefused):
            promise_equal(got.why, expected, f"A4: claim of {uid}")
            return
        promise(expected in ("new", "again"), f"A4: a claim of {uid} was granted that is {expected}")
        if expected == "new":
            self.history.granted(got.fence)
            self.fences[uid].append(got.fence)
            self.model.granted(uid, got.fence)
        self._promise_claim(got)

    def _promise_claim(self, got: Claim) -> None:
        run = self.model.runs[got.uid]
        said: tuple[Any, ...] = (got.fence, got.keyed, got.cancel, got.grace_seconds)
        promise_equal(said, (run.fence, bool(run.key), run.cancel, 30), f"the claim of {got.uid}")

    def _settle(self, uid: str, fence: int, outcome: Outcome) -> None:
        expected = self.model.settle(uid, fence, outcome)
        got = self._call(calls.settle(uid, fence, outcome))
        promise_equal(got.verdict, expected, f"A5: settle of {uid} with fence {fence}")
        self._promise_stands(uid, got.phase, got.reason)

    def _stage(self, uid: str, fence: int, outcome: Outcome) -> None:
        expected = self.model.stage(uid, fence, outcome)
        promise_equal(self._call(calls.stage(uid, fence, outcome)), expected, f"stage of {uid} with {fence}")

    def _handback(self, uid: str, fence: int) -> None:
        expected = self.model.handback(uid, fence)
        promise_equal(self._call(calls.handback(uid, fence)), expected, f"handback of {uid} with {fence}")

    def _progress(self, uid: str, fence: int) -> None:
        expected = self.model.progress(uid, fence)
        got = self._call(calls.progress(uid, fence, '{"current":1}'))
        promise_equal(got, expected, f"progress of {uid} with {fence}")

    def _reclaim(self, uid: str, lease: str) -> None:
        expected = self.model.reclaim(uid, lease)
        promise_equal(
            self._call(calls.reclaim(uid, lease)), expected, f"A6: reclaim of {uid} at lease {lease}"
        )


def machine_for(client: redis.Redis, *, source: str = SOURCE) -> type[LedgerMachine]:
    """The machine, bound to a server that runs the library `source`."""
    return type("BoundLedgerMachine", (LedgerMachine,), {"client": client, "source": source})
