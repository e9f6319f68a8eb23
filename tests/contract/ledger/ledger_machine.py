"""The state machine: any calls in any order, on the real ledger and on the model, compared after each call.

The tests `test_state_machine` and `test_planted_faults` run it, and it drives the pair in `ledger_pair`.
Invariant: an example depends only on its choices. It waits for no clock, and shares only the server with
other examples.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import ClassVar

import redis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kelery.ledger.library import SOURCE
from kelery.ledger.types import OnlyIf, Outcome, Submission
from kelery.run.model import CancelMode, RunSpec
from kelery.run.phases import Phase, Reason
from kelery.run.run_message import RunMessage
from tests.contract.ledger.ledger_choices import (
    BORN,
    CONDITIONS,
    KEYS,
    LATE_WORDS,
    MODEST,
    NAMES,
    NONCES,
    ORIGINS,
    OUTCOMES,
    RIVALS,
    SPECS,
    STOP_MESSAGES,
    STOP_REASONS,
    WORKERS,
    one_of,
    some_of,
)
from tests.contract.ledger.ledger_facts import CLUSTER, HEAD_END, NAMESPACE
from tests.contract.ledger.ledger_model_run import ModelRun
from tests.contract.ledger.ledger_pair import LedgerPair


class LedgerMachine(RuleBasedStateMachine):
    """Bound to a server, and to the library that it is to run, by `machine_for`."""

    client: ClassVar[redis.Redis]
    source: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        keys = [f"{NAMESPACE}/{key}" for key in dict.fromkeys(KEYS)]
        self.pair = LedgerPair(self.client, keys=keys, workers=WORKERS)
        self.model = self.pair.model
        self._raised_around_us = sys.exc_info()[1]

    # What the rules choose from

    def known(self) -> list[str]:
        return list(self.model.runs)

    def mostly_live(self) -> list[str]:
        live = [uid for uid, run in self.model.runs.items() if not run.phase.is_final]
        return live * 3 + self.pair.uids

    def worth_cancelling(self) -> list[str]:
        """Mostly runs that a worker has claimed, or whose slot another run waits for; sometimes any run."""
        contested = [
            holder.uid
            for key in self.pair.keys
            if self.model.waiters(key)
            for holder in self.model.holders(key)
        ]
        return (self.claimed_uids() + contested) * 3 + self.pair.uids

    def claimed(self) -> list[ModelRun]:
        return [run for run in self.model.runs.values() if run.phase.is_claimed]

    def claimed_uids(self) -> list[str]:
        return [run.uid for run in self.claimed()]

    def admitted(self) -> list[str]:
        return [uid for uid, run in self.model.runs.items() if run.phase is Phase.ADMITTED]

    def granted(self) -> list[tuple[str, int]]:
        return [(uid, fence) for uid, fences in self.pair.fences.items() for fence in fences]

    def current(self) -> list[tuple[str, int]]:
        return [(run.uid, run.fence) for run in self.claimed()]

    def fenced_off(self) -> list[tuple[str, int]]:
        """Claims of runs that another claim has now; if there are none, any that ever was."""
        current = dict(self.current())
        late = [(uid, fence) for uid, fence in self.granted() if current.get(uid, fence) != fence]
        return late or self.granted()

    # Rules: from the APIs

    @initialize(specs=st.lists(SPECS, min_size=2, max_size=6))
    def submit_some(self, specs: list[RunSpec]) -> None:
        """Most of what can go wrong needs several runs of a key."""
        self.submit_more(specs)

    @rule(specs=st.lists(SPECS, min_size=1, max_size=3))
    def submit_more(self, specs: list[RunSpec]) -> None:
        for spec in specs:
            self.pair.submit(self.submission(spec))

    @rule(spec=RIVALS)
    def submit_rival(self, spec: RunSpec) -> None:
        self.pair.submit(self.submission(spec))

    @rule(spec=SPECS, name=NAMES, origin=ORIGINS, born=BORN, retain_seconds=st.sampled_from([None, 3600]))
    def submit(
        self, spec: RunSpec, name: str, origin: str, born: Reason | None, retain_seconds: int | None
    ) -> None:
        self.pair.submit(
            self.submission(spec, name=name, origin=origin, born=born, retain_seconds=retain_seconds)
        )

    @rule(spec=SPECS | RIVALS | MODEST, name=NAMES, conditions=CONDITIONS)
    def submit_only_if(self, spec: RunSpec, name: str, conditions: tuple[OnlyIf, ...]) -> None:
        submission = self.submission(spec, name=name, origin="REST", retain_seconds=3600)
        self.pair.submit_only_if(submission, conditions)

    @precondition(lambda self: self.model.listing.names)
    @rule(
        spec=SPECS,
        name=one_of(lambda self: sorted(self.model.listing.names)),
        born=BORN | st.just(Reason.CANCELLED_AT_CREATE),
        goes=st.booleans(),
    )
    def want_a_name_that_others_have(self, spec: RunSpec, name: str, born: Reason | None, goes: bool) -> None:
        """First the other API, which does not check names, submits another run with this name."""
        self.pair.submit(self.submission(spec, name=name, born=born))
        if goes:
            self.pair.delete(self.model.listing.names[name])
        self.submit_only_if(spec, name, (OnlyIf.FREE_NAME,))

    def submission(
        self,
        spec: RunSpec,
        *,
        name: str = "",
        origin: str = "TaskRun",
        born: Reason | None = None,
        retain_seconds: int | None = None,
    ) -> Submission:
        uid = f"run-{len(self.pair.uids)}"
        return Submission(
            uid=uid,
            cluster=CLUSTER,
            namespace=NAMESPACE,
            name=name or uid,
            origin=origin,
            requester="somebody",
            spec=spec,
            spec_json="{}",
            spec_hash="as submitted",
            queue="celery",
            queue_key=self.pair.queue_key,
            run_message=RunMessage(head="first" + HEAD_END, tail=HEAD_END),
            born_final=born,
            retain_seconds=retain_seconds,
        )

    @precondition(lambda self: self.known())
    @rule(uid=one_of(lambda self: self.known()))
    def submit_again(self, uid: str) -> None:
        self.pair.submit(self.model.runs[uid].submission)

    @precondition(lambda self: self.known())
    @rule(uid=one_of(lambda self: self.known()), conditions=CONDITIONS)
    def submit_again_only_if(self, uid: str, conditions: tuple[OnlyIf, ...]) -> None:
        self.pair.submit_only_if(self.model.runs[uid].submission, conditions)

    @precondition(lambda self: self.known())
    @rule(uid=one_of(lambda self: self.known()))
    def submit_again_with_another_spec(self, uid: str) -> None:
        self.pair.submit_conflicting(replace(self.model.runs[uid].submission, spec_hash="another"))

    @precondition(lambda self: self.pair.uids)
    @rule(
        uid=one_of(lambda self: self.worth_cancelling()),
        mode=st.sampled_from(CancelMode),
        reason=STOP_REASONS,
        message=STOP_MESSAGES,
    )
    def cancel(self, uid: str, mode: CancelMode, reason: Reason, message: str) -> None:
        self.pair.cancel(uid, mode=mode, reason=reason, message=message)

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed_uids()), reason=STOP_REASONS)
    def cancel_gracefully_and_then_by_force(self, uid: str, reason: Reason) -> None:
        self.pair.cancel(uid, mode=CancelMode.GRACEFUL, reason=reason, message="wrong input")
        self.pair.cancel(uid, mode=CancelMode.FORCE, reason=reason, message="too late")

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed_uids()), outcome=OUTCOMES)
    def delete_what_then_ends(self, uid: str, outcome: Outcome) -> None:
        self.pair.delete(uid)
        self.pair.settle(uid, self.model.runs[uid].fence, outcome=outcome)

    @precondition(lambda self: self.pair.uids)
    @rule(uid=one_of(lambda self: self.worth_cancelling()))
    def delete(self, uid: str) -> None:
        self.pair.delete(uid)

    @rule()
    def look_at_the_queues(self) -> None:
        self.pair.queues()

    @precondition(lambda self: self.pair.uids)
    @rule(uid=one_of(lambda self: self.pair.uids))
    def acknowledge(self, uid: str) -> None:
        self.pair.acknowledge(uid)

    # Rules: from the workers

    @precondition(lambda self: self.model.queue)
    @rule(worker=st.sampled_from(WORKERS), nonce=st.sampled_from(NONCES))
    def take_a_message_and_claim(self, worker: str, nonce: str) -> None:
        message = self.model.queue[-1]
        self.pair.lose_a_message()
        self.pair.claim(message.uid, attempt=message.attempt, worker=worker, nonce=nonce)

    @precondition(lambda self: self.model.queue)
    @rule(worker=st.sampled_from(WORKERS), nonce=st.sampled_from(NONCES))
    def take_every_message_and_claim_the_last_run(self, worker: str, nonce: str) -> None:
        """A call of `queues` in between, when there is neither a message nor a claim."""
        message = self.model.queue[0]
        while self.model.queue:
            self.pair.lose_a_message()
        self.pair.queues()
        self.pair.claim(message.uid, attempt=message.attempt, worker=worker, nonce=nonce)
        self.pair.queues()

    @precondition(lambda self: self.admitted())
    @rule(
        uid=one_of(lambda self: self.admitted()),
        worker=st.sampled_from(WORKERS),
        nonce=st.sampled_from(NONCES),
    )
    def claim_while_the_message_stays(self, uid: str, worker: str, nonce: str) -> None:
        self.pair.claim(uid, attempt=self.model.runs[uid].attempt, worker=worker, nonce=nonce)

    @precondition(lambda self: self.admitted())
    @rule(worker=st.sampled_from(WORKERS), nonce=st.sampled_from(NONCES))
    def claim_all_that_are_admitted(self, worker: str, nonce: str) -> None:
        for uid in self.admitted():
            self.claim_while_the_message_stays(uid, worker, nonce)

    @precondition(lambda self: self.pair.uids)
    @rule(
        uid=one_of(lambda self: self.mostly_live()),
        attempt=st.integers(1, 3),
        worker=st.sampled_from(WORKERS),
        nonce=st.sampled_from(NONCES),
    )
    def claim_anything(self, uid: str, attempt: int, worker: str, nonce: str) -> None:
        self.pair.claim(uid, attempt=attempt, worker=worker, nonce=nonce)

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed_uids()), worker=st.sampled_from(["its own", *WORKERS]))
    def claim_what_is_claimed(self, uid: str, worker: str) -> None:
        run = self.model.runs[uid]
        claimer = run.worker if worker == "its own" else worker
        self.pair.claim(uid, attempt=run.attempt, worker=claimer, nonce=run.nonce)

    @rule(worker=st.sampled_from(WORKERS), claims=some_of(lambda self: self.current() or self.granted()))
    def renew(self, worker: str, claims: list[tuple[str, int]]) -> None:
        self.pair.renew(worker, claims=claims)

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed_uids()), again=st.booleans())
    def start(self, uid: str, again: bool) -> None:
        for _ in range(1 + again):
            self.pair.start(uid, self.model.runs[uid].fence)

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed_uids()), outcome=OUTCOMES)
    def stage(self, uid: str, outcome: Outcome) -> None:
        self.pair.stage(uid, self.model.runs[uid].fence, outcome=outcome)

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed_uids()), outcome=OUTCOMES)
    def settle(self, uid: str, outcome: Outcome) -> None:
        self.pair.settle(uid, self.model.runs[uid].fence, outcome=outcome)

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed_uids()))
    def handback(self, uid: str) -> None:
        self.pair.handback(uid, self.model.runs[uid].fence)

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed_uids()))
    def progress(self, uid: str) -> None:
        self.pair.progress(uid, self.model.runs[uid].fence)

    @precondition(lambda self: self.claimed())
    @rule(
        uid=one_of(lambda self: self.claimed_uids()),
        worker=st.sampled_from(WORKERS),
        words=LATE_WORDS,
        outcome=OUTCOMES,
    )
    def change_hands(self, uid: str, worker: str, words: str, outcome: Outcome) -> None:
        """Another claim follows. Then the run's previous worker makes another call."""
        fence = self.model.runs[uid].fence
        self.pair.handback(uid, fence)
        if uid in self.admitted():
            self.claim_while_the_message_stays(uid, worker, "after handback")
        self.speak_late((uid, fence), words, outcome)

    @precondition(lambda self: self.granted())
    @rule(claim=one_of(lambda self: self.fenced_off()), words=LATE_WORDS, outcome=OUTCOMES)
    def speak_late(self, claim: tuple[str, int], words: str, outcome: Outcome) -> None:
        if words == "settle":
            self.pair.settle(*claim, outcome=outcome)
        elif words == "stage":
            self.pair.stage(*claim, outcome=outcome)
        elif words == "handback":
            self.pair.handback(*claim)
        elif words == "start":
            self.pair.start(*claim)
        elif words == "progress":
            self.pair.progress(*claim)
        elif words == "renew":
            self.pair.renew(WORKERS[0], claims=[claim])

    # Rules: from the observers

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed_uids()))
    def reclaim_what_stood_still(self, uid: str) -> None:
        self.pair.reclaim(uid, lease=self.model.runs[uid].lease)

    @precondition(lambda self: self.claimed())
    @rule(uid=one_of(lambda self: self.claimed_uids()))
    def reclaim_what_moved(self, uid: str) -> None:
        """The observer looked; then the worker renewed after all."""
        run = self.model.runs[uid]
        seen = run.lease
        self.pair.renew(run.worker, claims=[(uid, run.fence)])
        self.pair.reclaim(uid, lease=seen)

    @precondition(lambda self: self.granted())
    @rule(claim=one_of(lambda self: self.granted()), counter=st.integers(1, 3))
    def reclaim_with_any_lease(self, claim: tuple[str, int], counter: int) -> None:
        uid, fence = claim
        self.pair.reclaim(uid, lease=f"{fence}:{counter}")

    @rule(due=some_of(lambda self: self.pair.timers()), long_ago=st.booleans())
    def tick(self, due: list[str], long_ago: bool) -> None:
        self.pair.tick(due, long_ago=long_ago)

    # Rules: what goes wrong around it

    @precondition(lambda self: self.model.queue)
    @rule()
    def lose_a_message(self) -> None:
        self.pair.lose_a_message()

    @precondition(lambda self: self.model.queue)
    @rule(index=one_of(lambda self: list(range(len(self.model.queue)))))
    def double_a_message(self, index: int) -> None:
        self.pair.double_a_message(index)

    @rule()
    def lose_the_functions(self) -> None:
        self.client.function_flush()
        if self.source != SOURCE:
            # The ledger loads the shipped library itself, at its next call; a mutated one it cannot know.
            self.client.function_load(self.source, replace=True)

    @invariant()
    def promises_are_kept(self) -> None:
        self.pair.compare()

    def teardown(self) -> None:
        try:
            # After a failure the state is meaningless, and another failure would hide the first.
            if sys.exc_info()[1] is self._raised_around_us:
                self.pair.work_to_the_end()
                self.pair.forget_everything()
        finally:
            self.pair.wipe()


def machine_for(client: redis.Redis, *, source: str = SOURCE) -> type[LedgerMachine]:
    """The machine, bound to a server that runs the library `source`."""
    return type("BoundLedgerMachine", (LedgerMachine,), {"client": client, "source": source})
