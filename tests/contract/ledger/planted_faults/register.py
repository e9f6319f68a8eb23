"""Which runs are listed, and under which name."""

from __future__ import annotations

from kelery.ledger.types import OnlyIf
from kelery.run.model import CancelMode
from kelery.run.phases import Reason
from tests.contract.ledger.planted_faults.fault import Fault, cancel_first, keyed, submit_one, unkeyed

FAULTS = [
    Fault(
        what="a name is refused because of a run that has ended",
        original="  if phase and not FINAL[phase] then return newest end",
        planted="  if phase then return newest end",
        caught_by=[
            lambda ledger: ledger.submit_only_if(spec=keyed(), name="report", conditions=(OnlyIf.FREE_NAME,)),
            cancel_first,
            lambda ledger: ledger.submit_only_if(spec=keyed(), name="report", conditions=(OnlyIf.FREE_NAME,)),
        ],
    ),
    Fault(
        what="a name is free although an older run with it lives",
        original="redis.call('ZADD', namesakes_key(run.ns, run.name), arrival, before)",
        planted="arrival = nil",
        caught_by=[
            lambda ledger: ledger.submit(
                spec=unkeyed(), name="report", origin="TaskRun", born=None, retain_seconds=None
            ),
            lambda ledger: ledger.submit(
                spec=unkeyed(), name="report", origin="TaskRun", born=None, retain_seconds=None
            ),
            lambda ledger: ledger.cancel(
                uid="run-1", mode=CancelMode.GRACEFUL, reason=Reason.CANCELLED_BY_USER, message=""
            ),
            lambda ledger: ledger.submit_only_if(
                spec=unkeyed(), name="report", conditions=(OnlyIf.FREE_NAME,)
            ),
        ],
    ),
    Fault(
        what="a run without a name does not have its uid as its name",
        original="if its_name == name and not FINAL[phase] then return name end",
        planted="",
        caught_by=[
            submit_one,
            lambda ledger: ledger.submit_only_if(
                spec=unkeyed(), name="run-0", conditions=(OnlyIf.FREE_NAME,)
            ),
        ],
    ),
    Fault(
        what="a submission that is repeated is in its own way",
        original="if known then return summary('existing', uid) end",
        planted="if known and not in_the_way(args) then return summary('existing', uid) end",
        caught_by=[
            lambda ledger: ledger.submit_only_if(spec=keyed(), name="report", conditions=(OnlyIf.FREE_NAME,)),
            lambda ledger: ledger.submit_again_only_if(uid="run-0", conditions=(OnlyIf.FREE_NAME,)),
        ],
    ),
    Fault(
        what="a refused submission leaves its run behind",
        original="  if refusal then return {",
        planted="  if refusal then redis.call('HSET', run_key(uid), 'spec_hash', spec_hash) return {",
        caught_by=[
            submit_one,
            lambda ledger: ledger.submit_only_if(spec=keyed(), name="", conditions=(OnlyIf.ROOM,)),
        ],
    ),
    Fault(
        what="a deleted run is still listed",
        original="change(run, { deleted = '1' })\n  unlist(run)",
        planted="change(run, { deleted = '1' })",
        caught_by=[
            lambda ledger: ledger.submit_only_if(spec=unkeyed(), name="", conditions=(OnlyIf.FREE_NAME,)),
            lambda ledger: ledger.delete(uid="run-0"),
        ],
    ),
    Fault(
        what="a run whose TaskRun is gone is still listed",
        original="  if reason == 'Deleted' then unlist(run) end\n",
        planted="",
        caught_by=[
            lambda ledger: ledger.submit_rival(spec=unkeyed()),
            lambda ledger: ledger.cancel(
                uid="run-0", mode=CancelMode.GRACEFUL, reason=Reason.DELETED, message=""
            ),
        ],
    ),
    Fault(
        what="a purged run is still listed",
        original="local function purge(run)\n  unlist(run)",
        planted="local function purge(run)",
        caught_by=[
            submit_one,
        ],
    ),
    Fault(
        what="a name is not given back",
        original="  else\n    redis.call('HDEL', names, run.name)\n",
        planted="",
        caught_by=[
            lambda ledger: ledger.submit_only_if(
                spec=unkeyed(), name="audit", conditions=(OnlyIf.FREE_NAME,)
            ),
        ],
    ),
    Fault(
        what="a name does not go back to the run that lives",
        original="redis.call('HSET', names, run.name, follower)",
        planted="redis.call('HDEL', names, run.name)",
        caught_by=[
            lambda ledger: ledger.submit_rival(spec=unkeyed()),
            lambda ledger: ledger.submit(
                spec=unkeyed(), name="run-0", origin="TaskRun", born=None, retain_seconds=None
            ),
            lambda ledger: ledger.want_a_name_that_others_have(
                spec=unkeyed(), name="run-0", born=None, goes=True
            ),
        ],
    ),
]
