"""The state machine can fail: it catches each fault planted in the ledger, in a bounded number of examples.

A fault is a replacement in the Lua text that must apply exactly once. The mutated library runs on a Valkey of
its own (functions are server-wide). Only a broken promise counts as caught: that a library is broken as a
program proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from kelery.errors import LedgerError
from kelery.ledger.library import SOURCE
from kelery.ledger.sync_client import connect
from kelery_dev.stack.valkey import ValkeyServer
from tests.contract.ledger.ledger_facts import BrokenPromise
from tests.contract.ledger.ledger_machine import machine_for

#: The first example that fails ends the search: what is asked is whether, not the least way how.
SEARCH = settings(
    max_examples=800,
    stateful_step_count=40,
    phases=[Phase.generate],
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
SEED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong, and the one place of the library that makes it so."""

    what: str
    original: str
    planted: str

    def source(self) -> str:
        """The library with the fault in it."""
        found = SOURCE.count(self.original)
        assert found == 1, f"the text of this fault occurs {found} times in the library: {self.original}"
        return SOURCE.replace(self.original, self.planted)


FAULTS = [
    Fault(
        what="a reclaim ignores the counter",
        original="if redis.call('HGET', prefix .. ':leases', uid) ~= fence .. ':' .. counter then",
        planted="if not redis.call('HGET', prefix .. ':leases', uid) then",
    ),
    Fault(
        what="a settle ignores the fence",
        original="if run.fence ~= fence then return { 'fenced', run.phase, run.reason } end",
        planted="",
    ),
    Fault(
        what="a claim is no compare-and-set",
        original="if run.phase ~= 'Admitted' or run.reason ~= 'WaitingForWorker' or run.attempt ~= attempt",
        planted="if run.phase ~= 'Admitted' and run.phase ~= 'Running'",
    ),
    Fault(
        what="a claim takes what still backs off",
        original="or run.reason ~= 'WaitingForWorker' or run.attempt ~= attempt",
        planted="or run.attempt ~= attempt",
    ),
    Fault(
        what="a late message starts the next attempt",
        original="or run.reason ~= 'WaitingForWorker' or run.attempt ~= attempt",
        planted="or run.reason ~= 'WaitingForWorker'",
    ),
    Fault(
        what="fences stand still",
        original="text(redis.call('HINCRBY', prefix .. ':meta', 'fence', 1))",
        planted="'1'",
    ),
    Fault(
        what="admission counts only the newcomer's own limit",
        original="if smallest[1] then limit = math.min(limit, tonumber(smallest[2])) end",
        planted="",
    ),
    Fault(
        what="an end does not free the slot",
        original="redis.call('ZREM', hold_key(run.key), run.uid)",
        planted="",
    ),
    Fault(
        what="a freed slot is not handed on",
        original="    finish(run, 'Cancelled', reason)\n    pump(run.key)",
        planted="    finish(run, 'Cancelled', reason)",
    ),
    Fault(
        what="a cancel of a running run is final at once",
        original="  if CLAIMED[run.phase] then\n    ask_to_stop(run, mode, reason)",
        planted="  if run.phase == 'Cancelling' then\n    ask_to_stop(run, mode, reason)",
    ),
    Fault(
        what="a cancel changes what is final",
        original="  if FINAL[run.phase] then return 'unchanged' end",
        planted="",
    ),
    Fault(
        what="a back-off gives the slot away",
        original="local function back_off(run, delay_ms)\n",
        planted="local function back_off(run, delay_ms)\n"
        "  if run.key ~= '' then redis.call('ZREM', hold_key(run.key), run.uid) pump(run.key) end\n",
    ),
    Fault(
        what="a message is pushed without admission",
        original="  local before = run.rev\n",
        planted="  push_message(run)\n  local before = run.rev\n",
    ),
    Fault(
        what="an admission pushes no message",
        original="  push_message(run)\n  schedule('redispatch', run.uid, now + REDISPATCH_FIRST)",
        planted="  schedule('redispatch', run.uid, now + REDISPATCH_FIRST)",
    ),
    Fault(
        what="a lost message is never pushed again",
        original="  schedule('redispatch', run.uid, now + REDISPATCH_FIRST)\n",
        planted="",
    ),
    Fault(
        what="a second submit starts the run anew",
        original="if known then return summary('existing', uid) end",
        planted="",
    ),
    Fault(
        what="one claim may start twice",
        original="change(run, { begun_fence = run.fence, begun_pid = pid })",
        planted="",
    ),
    Fault(
        what="a body that has begun is handed back",
        original="  if run.begun_fence == run.fence then return 'begun' end\n"
        "  if run.phase == 'Cancelling' then\n",
        planted="  if run.phase == 'Cancelling' then\n",
    ),
    Fault(
        what="a handback counts as an attempt",
        original="change(run, { worker = '', nonce = '', started_at = '' })",
        planted="change(run, { worker = '', nonce = '', started_at = '', attempt = text(run.attempt + 1) })",
    ),
    Fault(
        what="Replace admits before the holder has ended",
        original="ask_to_stop(holder, 'graceful', 'Superseded')\n",
        planted="ask_to_stop(holder, 'graceful', 'Superseded')\n"
        "      redis.call('ZREM', hold_key(key), holder.uid)\n",
    ),
    Fault(
        what="Reject looks only at the slots, not at who waits",
        original="if redis.call('ZCARD', wait_key(key)) > 0 then return false end",
        planted="",
    ),
    Fault(
        what="priority counts the wrong way round",
        original="(1000 - priority) * PRIORITY_STEP",
        planted="(1000 + priority) * PRIORITY_STEP",
    ),
    Fault(
        what="any worker renews any claim",
        original="if run and run.worker == worker then",
        planted="if run then",
    ),
    Fault(
        what="an outcome staged by an older claim counts",
        original="if run.staged_fence ~= run.fence then return reported end",
        planted="if run.staged_fence == '' then return reported end",
    ),
    Fault(
        what="a queue timeout ends what was claimed",
        original="  unschedule(uid, 'queue', 'redispatch')\n  announce(run)",
        planted="  unschedule(uid, 'redispatch')\n  announce(run)",
    ),
    Fault(
        what="a submission only if there is room looks only at the slots, not at who waits",
        original="not has_room(fields.key, tonumber(fields.limit)) then",
        planted="redis.call('ZCARD', hold_key(fields.key)) >= tonumber(fields.limit) then",
    ),
    Fault(
        what="a name is refused because of a run that has ended",
        original="  if phase and not FINAL[phase] then return newest end",
        planted="  if phase then return newest end",
    ),
    Fault(
        what="a name is free although an older run of it lives",
        original="redis.call('ZADD', namesakes_key(run.ns, run.name), arrival, before)",
        planted="arrival = nil",
    ),
    Fault(
        what="a run that nobody named does not have its uid for a name",
        original="if its_name == name and not FINAL[phase] then return name end",
        planted="",
    ),
    Fault(
        what="a submission that is repeated is in its own way",
        original="if known then return summary('existing', uid) end",
        planted="if known and not in_the_way(args) then return summary('existing', uid) end",
    ),
    Fault(
        what="a refused submission leaves its run behind",
        original="  if refusal then return {",
        planted="  if refusal then redis.call('HSET', run_key(uid), 'spec_hash', spec_hash) return {",
    ),
    Fault(
        what="a delete frees the slot of a running run",
        original="    if stop(run, 'graceful', 'Deleted') == 'unchanged' then notify(run) end",
        planted="    finish(run, 'Cancelled', 'Deleted')\n    pump(run.key)",
    ),
    Fault(
        what="a deleted run is still listed",
        original="change(run, { deleted = '1' })\n  unlist(run)",
        planted="change(run, { deleted = '1' })",
    ),
    Fault(
        what="a run whose TaskRun is gone is still listed",
        original="  if reason == 'Deleted' then unlist(run) end\n",
        planted="",
    ),
    Fault(
        what="a purged run is still listed",
        original="local function purge(run)\n  unlist(run)",
        planted="local function purge(run)",
    ),
    Fault(
        what="a deleted run keeps what it was told and what it said",
        original="  if run.deleted == '1' and run.origin ~= 'TaskRun' then strip(run) end",
        planted="",
    ),
    Fault(
        what="a name is not given back",
        original="  else\n    redis.call('HDEL', names, run.name)\n",
        planted="",
    ),
    Fault(
        what="a name does not go back to the run that lives",
        original="redis.call('HSET', names, run.name, follower)",
        planted="redis.call('HDEL', names, run.name)",
    ),
    Fault(
        what="a key is left behind when nobody uses it any more",
        original="if redis.call('EXISTS', wait_key(run.key), hold_key(run.key)) == 0 then",
        planted="if false then",
    ),
    Fault(
        what="a run that was never admitted is the latest of its key",
        original="redis.call('ZADD', prefix .. ':keys:' .. run.ns, 0, run.key)",
        planted="redis.call('ZADD', prefix .. ':keys:' .. run.ns, 0, run.key)\n"
        "  redis.call('ZADD', admitted_key(run.key), seq, run.uid)",
    ),
    Fault(
        what="a change of phase is missing in the history",
        original="  schedule('redispatch', run.uid, now + REDISPATCH_FIRST)\n  announce(run)",
        planted="  schedule('redispatch', run.uid, now + REDISPATCH_FIRST)\n  notify(run)",
    ),
    Fault(
        what="progress counts as a change of phase",
        original="  change(run, { progress = progress_json })\n  notify(run)",
        planted="  change(run, { progress = progress_json })\n  announce(run)",
    ),
    Fault(
        what="a queue that comes back into use stays forgotten",
        original="  redis.call('HSET', prefix .. ':queues', queue, run.queue_key)\n",
        planted="",
    ),
    Fault(
        what="a queue whose message was just taken is forgotten",
        original="    lists[queue] = queue_key\n",
        planted="",
    ),
    Fault(
        what="the message of a later cancel replaces the first one",
        original="if run.phase ~= 'Cancelling' and message and",
        planted="if message and",
    ),
]


@pytest.fixture(scope="module")
def client() -> Iterator[redis.Redis]:
    """A Valkey for mutated libraries only."""
    with (
        ValkeyServer() as server,
        connect(server.url, timeout_seconds=10, client_name="planted-faults") as client,
    ):
        yield client


def search(client: redis.Redis, source: str, *, how: settings = SEARCH) -> None:
    """Run the machine on the library `source`, and make sure that it was this one to the end."""
    client.flushall()
    client.function_flush()
    client.function_load(source, replace=True)
    try:
        run_state_machine_as_test(seed(SEED)(machine_for(client, source=source)), settings=how)
    finally:
        (library,) = client.function_list(withcode=True)
        assert source in library, "another library was loaded meanwhile"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what.replace(" ", "-"))
def test_the_state_machine_catches_a_planted_fault(client: redis.Redis, fault: Fault) -> None:
    with pytest.raises(BrokenPromise):
        search(client, fault.source())


def test_the_same_search_finds_nothing_in_the_ledger_as_it_is(client: redis.Redis) -> None:
    search(client, SOURCE, how=settings(SEARCH, max_examples=60))


def test_a_library_that_is_broken_as_a_program_is_not_taken_for_a_fault_that_was_caught(
    client: redis.Redis,
) -> None:
    broken = Fault(
        what="no Lua at all",
        original="local function granted(run)\n",
        planted="local function granted(run)\n  nothing()\n",
    )
    with pytest.raises(LedgerError, match="nothing"):
        search(client, broken.source())
