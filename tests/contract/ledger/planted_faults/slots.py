"""The slots of a key: limits, policies, the order of the waiters."""

from __future__ import annotations

from kelery.ledger.types import OnlyIf
from kelery.run.model import Policy
from tests.contract.ledger.planted_faults.fault import (
    AGAIN_LATER,
    Fault,
    cancel_first,
    claim_all,
    keyed,
    submit_one,
)

FAULTS = [
    Fault(
        what="admission counts only the newcomer's own limit",
        original="if smallest[1] then limit = math.min(limit, tonumber(smallest[2])) end",
        planted="",
        caught_by=[
            lambda ledger: ledger.submit_more(specs=[keyed(), keyed(limit=3)]),
        ],
    ),
    Fault(
        what="an end does not free the slot",
        original="redis.call('ZREM', hold_key(run.key), run.uid)",
        planted="",
        caught_by=[
            submit_one,
            cancel_first,
        ],
    ),
    Fault(
        what="a freed slot is not handed on",
        original="    finish(run, 'Cancelled', reason)\n    pump(run.key)",
        planted="    finish(run, 'Cancelled', reason)",
        caught_by=[
            lambda ledger: ledger.submit_more(specs=[keyed(), keyed()]),
            lambda ledger: ledger.delete(uid="run-0"),
        ],
    ),
    Fault(
        what="a back-off frees the slot",
        original="local function back_off(run, delay_ms)\n",
        planted="local function back_off(run, delay_ms)\n"
        "  if run.key ~= '' then redis.call('ZREM', hold_key(run.key), run.uid) pump(run.key) end\n",
        caught_by=[
            submit_one,
            claim_all,
            lambda ledger: ledger.settle(uid="run-0", outcome=AGAIN_LATER),
        ],
    ),
    Fault(
        what="Replace admits before the holder has ended",
        original="ask_to_stop(holder, 'graceful', 'Superseded')\n",
        planted="ask_to_stop(holder, 'graceful', 'Superseded')\n"
        "      redis.call('ZREM', hold_key(key), holder.uid)\n",
        caught_by=[
            submit_one,
            claim_all,
            lambda ledger: ledger.submit_rival(spec=keyed(policy=Policy.REPLACE)),
        ],
    ),
    Fault(
        what="Reject checks only the slots, not the waiters",
        original="if redis.call('ZCARD', wait_key(key)) > 0 then return false end",
        planted="",
        caught_by=[
            lambda ledger: ledger.submit_more(specs=[keyed(limit=3), keyed()]),
            lambda ledger: ledger.submit_rival(spec=keyed(limit=3, policy=Policy.REJECT)),
        ],
    ),
    Fault(
        what="priority counts the wrong way round",
        original="(1000 - priority) * PRIORITY_STEP",
        planted="(1000 + priority) * PRIORITY_STEP",
        caught_by=[
            lambda ledger: ledger.submit_more(specs=[keyed(), keyed(), keyed(priority=1)]),
        ],
    ),
    Fault(
        what="a submission only if there is room checks only the slots, not the waiters",
        original="not has_room(fields.key, tonumber(fields.limit)) then",
        planted="redis.call('ZCARD', hold_key(fields.key)) >= tonumber(fields.limit) then",
        caught_by=[
            lambda ledger: ledger.submit_more(specs=[keyed(limit=3), keyed()]),
            lambda ledger: ledger.submit_only_if(spec=keyed(limit=3), name="", conditions=(OnlyIf.ROOM,)),
        ],
    ),
    Fault(
        what="a key stays in the list of keys when it is no longer used",
        original="if redis.call('EXISTS', wait_key(run.key), hold_key(run.key)) == 0 then",
        planted="if false then",
        caught_by=[
            submit_one,
            lambda ledger: ledger.delete(uid="run-0"),
        ],
    ),
    Fault(
        what="a run that was never admitted is the latest of its key",
        original="redis.call('ZADD', prefix .. ':keys:' .. run.ns, 0, run.key)",
        planted="redis.call('ZADD', prefix .. ':keys:' .. run.ns, 0, run.key)\n"
        "  redis.call('ZADD', admitted_key(run.key), seq, run.uid)",
        caught_by=[
            lambda ledger: ledger.submit_more(specs=[keyed(), keyed()]),
        ],
    ),
]
