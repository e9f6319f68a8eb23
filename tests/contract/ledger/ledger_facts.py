"""All data of the ledger under one prefix, and the promises that must hold at every step.

The checks above `check_against_model` do not use the model: they find a wrong ledger even where the model is
wrong in the same way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kelery.ledger import commands, records
from kelery.ledger.sync_client import Ledger
from kelery.ledger.types import WrittenEvent
from kelery.run import run_message
from kelery.run.model import Record, Transition
from kelery.run.phases import TRANSITIONS, Phase, Reason
from tests.contract.ledger.ledger_model import HELD, LedgerModel
from tests.contract.ledger.ledger_model_run import Message

CLUSTER = "c1"
NAMESPACE = "ns"
#: Ends the first half of every message of these tests, so that a message can be read back.
HEAD_END = "#"


class BrokenPromise(AssertionError):
    """The ledger broke one of its promises (a crash of the program does not count)."""


def promise(kept: object, what: str) -> None:
    """Raise BrokenPromise unless `kept`."""
    if not kept:
        raise BrokenPromise(what)


def promise_equal(got: object, expected: object, what: str) -> None:
    """Raise BrokenPromise, with both values, unless they are equal."""
    if got != expected:
        raise BrokenPromise(f"{what}: the ledger has {got!r}, expected {expected!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The ledger's state at one moment."""

    records: dict[str, Record]
    #: key -> uid -> limit
    hold: dict[str, dict[str, int]]
    #: key -> uids, next one first
    wait: dict[str, list[str]]
    leases: dict[str, str]
    claims: dict[str, set[str]]
    timers: set[str]
    live: set[str]
    unacknowledged: set[str]
    #: Newest first.
    queue: list[Message]
    listed: set[str]
    names: dict[str, str]
    #: The keys that are in use.
    keys: list[str]
    #: key -> uids, in the order of their admission
    admitted: dict[str, list[str]]
    history: dict[str, list[Transition]]
    #: Since the last look.
    events: list[WrittenEvent]

    def held(self, key: str) -> list[Record]:
        """The runs of a key whose phase means that they hold a slot. Reads the records, not `hold`."""
        return [record for record in self.records.values() if record.key == key and record.phase in HELD]


def queue_key(prefix: str) -> str:
    """The Redis list of these tests' Celery queue."""
    return f"{prefix}:queue"


def read_facts(
    ledger: Ledger,
    *,
    uids: Sequence[str],
    keys: Sequence[str],
    workers: Sequence[str],
    after_event: str,
) -> Facts:
    """All data, in two round trips. No other client writes under the prefix between them."""
    viewed = ledger.run(commands.view(uids, inline_bytes=1024))
    prefix = ledger.prefix
    pipe = ledger.client.pipeline(transaction=False)
    pipe.hgetall(f"{prefix}:leases")
    pipe.zrange(f"{prefix}:timers", 0, -1)
    pipe.smembers(f"{prefix}:live:{CLUSTER}")
    pipe.smembers(f"{prefix}:final:{CLUSTER}")
    pipe.lrange(queue_key(prefix), 0, -1)
    pipe.xrange(f"{prefix}:events", min=f"({after_event}")
    pipe.zrange(f"{prefix}:runs:{NAMESPACE}", 0, -1)
    pipe.hgetall(f"{prefix}:names:{NAMESPACE}")
    pipe.zrange(f"{prefix}:keys:{NAMESPACE}", 0, -1)
    for uid in uids:
        pipe.lrange(f"{prefix}:history:{uid}", 0, -1)
    for key in keys:
        pipe.zrange(f"{prefix}:hold:{key}", 0, -1, withscores=True)
        pipe.zrange(f"{prefix}:wait:{key}", 0, -1)
        pipe.zrange(f"{prefix}:admitted:{key}", 0, -1)
    for worker in workers:
        pipe.smembers(f"{prefix}:claims:{worker}")
    leases, timers, live, unacknowledged, queue, events, listed, names, used_keys, *rest = pipe.execute()
    histories, rest = rest[: len(uids)], rest[len(uids) :]
    key_parts, claims = rest[: 3 * len(keys)], rest[3 * len(keys) :]
    return Facts(
        records={uid: record for uid, record in zip(uids, viewed, strict=True) if record is not None},
        hold={key: {u: int(n) for u, n in pairs} for key, pairs in zip(keys, key_parts[::3], strict=True)},
        wait=dict(zip(keys, key_parts[1::3], strict=True)),
        admitted=dict(zip(keys, key_parts[2::3], strict=True)),
        listed=set(listed),
        names=names,
        keys=used_keys,
        history={
            uid: [records.transition(entry) for entry in entries]
            for uid, entries in zip(uids, histories, strict=True)
        },
        leases=leases,
        claims=dict(zip(workers, claims, strict=True)),
        timers=set(timers),
        live=set(live),
        unacknowledged=set(unacknowledged),
        queue=[_read_message(text) for text in queue],
        events=[WrittenEvent.read(entry) for entry in events],
    )


def _read_message(text: str) -> Message:
    head, tag, _ = text.split(HEAD_END)
    read = run_message.read_tag(tag)
    assert read is not None, text
    return Message(head=head + HEAD_END, uid=read.uid, attempt=read.attempt)


def check_slots(facts: Facts, *, keys: Iterable[str]) -> None:
    """Check A1, and that no slot is lost or unused."""
    for key in keys:
        held = facts.held(key)
        promise(
            not held or len(held) <= min(run.limit for run in held),
            f"A1: never more holders of {key} than the smallest limit among them, but held by {_say(held)}",
        )
        promise_equal(facts.hold[key], {run.uid: run.limit for run in held}, f"the slots of {key}")
        waiting = {uid for uid, run in facts.records.items() if run.key == key and run.phase is Phase.WAITING}
        promise_equal(set(facts.wait[key]), waiting, f"the waiters of {key}")
        if facts.wait[key]:
            head = facts.records[facts.wait[key][0]]
            room = min([head.limit, *(run.limit for run in held)])
            promise(len(held) >= room, f"stuck: {head.uid} waits for {key}, held by {_say(held)}")


def check_ways_out(facts: Facts) -> None:
    """No run is stuck: every run that is not final has something that will move it."""
    for uid, run in facts.records.items():
        if run.phase.is_claimed:
            promise(uid in facts.leases, f"stuck: {uid} is {run.phase.value} without a lease")
            promise(
                uid in facts.claims.get(run.worker, ()),
                f"stuck: {uid} is not among the claims of {run.worker}",
            )
        if run.phase is Phase.ADMITTED and run.reason == Reason.WAITING_FOR_WORKER:
            rings = any((message.uid, message.attempt) == (uid, run.attempt) for message in facts.queue)
            promise(rings or f"redispatch|{uid}" in facts.timers, f"stuck: nothing rings for {uid}")
        if run.phase is Phase.ADMITTED and run.reason == Reason.RETRY_BACKOFF:
            promise(f"retry|{uid}" in facts.timers, f"stuck: nothing ends the back-off of {uid}")
    for message in facts.queue:
        run_or_none = facts.records.get(message.uid)
        promise(
            run_or_none is None or run_or_none.admitted_at is not None,
            f"{message.uid} has a message, but was never admitted",
        )


def check_register(facts: Facts) -> None:
    """What is in use can be found, and nothing else seems to be in use."""
    used = {record.key for record in facts.records.values() if record.key and not record.phase.is_final}
    promise_equal(set(facts.keys), used, "the keys with a holder or a waiter")
    promise_equal(facts.keys, sorted(facts.keys), "the order of the keys")
    for name, uid in facts.names.items():
        record = facts.records.get(uid)
        promise(record is not None and record.name == name, f"the name {name} leads to {uid}: {record}")
    unlisted = {uid for uid, record in facts.records.items() if record.is_deleted} & facts.listed
    promise_equal(unlisted, set(), "the runs that are deleted and listed all the same")


def _say(runs: Iterable[Record]) -> str:
    return ", ".join(f"{run.uid} ({run.phase.value}, limit {run.limit})" for run in runs)


@dataclass(slots=True, kw_only=True)
class History:
    """Earlier observations: values that may never change again, and values that may only grow."""

    last_event: str = "0-0"
    seen: dict[str, tuple[int, Phase, str]] = field(default_factory=dict)
    fences: dict[str, int] = field(default_factory=dict)
    highest_fence: int = 0
    finals: dict[str, tuple[Phase, str, int, str]] = field(default_factory=dict)
    transitions: dict[str, list[tuple[int, Phase, str]]] = field(default_factory=lambda: defaultdict(list))

    def check(self, facts: Facts) -> None:
        """Final is final, fences and `rev` only grow, every change was announced and is in the table."""
        for event in facts.events:
            self._follow(event)
            self.last_event = event.id
        for uid, run in facts.records.items():
            promise_equal((run.rev, run.phase, run.reason), self.seen.get(uid), f"{uid} as announced last")
            promise(run.fence >= self.fences.get(uid, 0), f"A8: the fence of {uid} went back to {run.fence}")
            self.fences[uid] = run.fence
            if run.phase.is_final:
                ending = (run.phase, run.reason, run.fence, run.result_json)
                first = self.finals.setdefault(uid, ending)
                # A deleted run loses its result.
                shown = 3 if run.is_deleted else 4
                promise_equal(ending[:shown], first[:shown], f"A5: the end of {uid}")
            else:
                promise(uid not in self.finals, f"A3: {uid} was final and is {run.phase.value} again")
            is_stripped = run.is_deleted and run.phase.is_final and run.origin != "TaskRun"
            kept = [(one.rev, one.phase, one.reason) for one in facts.history[uid]]
            promise_equal(kept, [] if is_stripped else self.transitions[uid], f"the history of {uid}")

    def granted(self, fence: int) -> None:
        """A claim was granted with this fence."""
        promise(fence > self.highest_fence, f"A8: fence {fence} was given after {self.highest_fence}")
        self.highest_fence = fence

    def _follow(self, event: WrittenEvent) -> None:
        rev, phase, reason = self.seen.get(event.uid, (0, None, ""))
        promise_equal(event.rev, rev + 1, f"the rev of {event.uid}")
        if event.phase is not phase:
            came_from = phase.value if phase else "nothing"
            promise(
                event.phase in TRANSITIONS[phase], f"{event.uid} went from {came_from} to {event.phase.value}"
            )
        if (event.phase, event.reason) != (phase, reason):
            self.transitions[event.uid].append((event.rev, event.phase, event.reason))
        self.seen[event.uid] = (event.rev, event.phase, event.reason)


def check_against_model(
    facts: Facts, model: LedgerModel, *, keys: Iterable[str], workers: Iterable[str]
) -> None:
    """Every fact is as the model has it."""
    runs = model.runs
    promise_equal(set(facts.records), set(runs), "the runs that are known")
    for record in facts.records.values():
        _check_record(record, model=model)
    for key in keys:
        promise_equal(
            facts.wait[key], [run.uid for run in model.waiters(key)], f"the order of waiting for {key}"
        )
        promise_equal(facts.admitted[key], model.ever_admitted(key), f"the admitted runs of {key}")
    promise_equal(facts.listed, model.listing.uids, "the runs that are listed")
    promise_equal(facts.names, model.listing.names, "whom each name means")
    claimed = [run for run in runs.values() if run.phase.is_claimed]
    promise_equal(facts.leases, {run.uid: run.lease for run in claimed}, "the leases")
    for worker in workers:
        promise_equal(
            facts.claims[worker], {run.uid for run in claimed if run.worker == worker}, f"claims of {worker}"
        )
    promise_equal(facts.timers, {timer for run in runs.values() for timer in run.timers()}, "the timers")
    promise_equal(facts.queue, model.queue, "the messages, newest first")
    promise_equal(facts.live, {run.uid for run in runs.values() if not run.phase.is_final}, "the live runs")
    promise_equal(
        facts.unacknowledged,
        {run.uid for run in runs.values() if run.phase.is_final and not run.purge_scheduled},
        "the final runs whose last status is not acknowledged",
    )


def _check_record(record: Record, *, model: LedgerModel) -> None:
    run = model.runs[record.uid]
    promise_equal((record.phase, record.reason), (run.phase, run.reason), f"phase and reason of {run.uid}")
    promise_equal((record.attempt, record.fence), (run.attempt, run.fence), f"attempt and fence of {run.uid}")
    promise_equal(
        (record.cancel, record.cancel_reason), (run.cancel, run.cancel_reason), f"cancel of {run.uid}"
    )
    promise_equal(record.is_deleted, run.deleted, f"whether {run.uid} is deleted")
    attempts = [(one.attempt, one.reason, one.fence, one.worker) for one in record.attempts]
    told = (record.spec_json, record.requester, record.result_json, record.cancel_message, attempts)
    submission = run.submission
    kept = (submission.spec_json, submission.requester, run.result, run.cancel_message, run.attempts)
    promise_equal(told, ("", "", "", "", []) if run.is_stripped else kept, f"the view of {run.uid}")
    ahead = model.waiters(run.key) if run.phase is Phase.WAITING else []
    promise_equal(record.position, ahead.index(run) + 1 if ahead else 0, f"the position of {run.uid}")
    if run.backs_off:
        # Both are from the clock of the one call that ended the attempt, so the difference is exact.
        ended = record.attempts[0].finished
        assert ended is not None, record
        promise_equal(record.due, ended + int(run.backoff_seconds * 1_000_000), f"the back-off of {run.uid}")
    else:
        promise_equal(record.due, None, f"when the next attempt of {run.uid} is due")
