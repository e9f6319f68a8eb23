"""Cancel, deletion, end, and the history of a run."""

from __future__ import annotations

from kelery.ledger.types import OnlyIf
from kelery.run.model import CancelMode
from kelery.run.phases import Reason
from tests.contract.ledger.planted_faults.fault import Fault, cancel_first, claim_all, submit_one, unkeyed

FAULTS = [
    Fault(
        what="a cancel of a running run is final at once",
        original="  if CLAIMED[run.phase] then\n    ask_to_stop(run, mode, reason)",
        planted="  if run.phase == 'Cancelling' then\n    ask_to_stop(run, mode, reason)",
        caught_by=[
            submit_one,
            claim_all,
            lambda ledger: ledger.delete(uid="run-0"),
        ],
    ),
    Fault(
        what="a cancel changes what is final",
        original="  if FINAL[run.phase] then return 'unchanged' end",
        planted="",
        caught_by=[
            submit_one,
            cancel_first,
            lambda ledger: ledger.cancel(
                uid="run-0", mode=CancelMode.GRACEFUL, reason=Reason.DELETED, message=""
            ),
        ],
    ),
    Fault(
        what="a delete frees the slot of a running run",
        original="    if stop(run, 'graceful', 'Deleted') == 'unchanged' then notify(run) end",
        planted="    finish(run, 'Cancelled', 'Deleted')\n    pump(run.key)",
        caught_by=[
            submit_one,
            claim_all,
            lambda ledger: ledger.delete(uid="run-0"),
        ],
    ),
    Fault(
        what="a deleted run keeps its spec and its result",
        original="  if run.deleted == '1' and run.origin ~= 'TaskRun' then strip(run) end",
        planted="",
        caught_by=[
            lambda ledger: ledger.submit_only_if(spec=unkeyed(), name="", conditions=(OnlyIf.FREE_NAME,)),
            lambda ledger: ledger.delete(uid="run-0"),
        ],
    ),
    Fault(
        what="a change of phase is missing in the history",
        original="  schedule('redispatch', run.uid, now + REDISPATCH_FIRST)\n  announce(run)",
        planted="  schedule('redispatch', run.uid, now + REDISPATCH_FIRST)\n  notify(run)",
        caught_by=[
            submit_one,
        ],
    ),
    Fault(
        what="progress counts as a change of phase",
        original="  change(run, { progress = progress_json })\n  notify(run)",
        planted="  change(run, { progress = progress_json })\n  announce(run)",
        caught_by=[
            submit_one,
            claim_all,
            lambda ledger: ledger.progress(uid="run-0"),
        ],
    ),
    Fault(
        what="the message of a later cancel replaces the first one",
        original="if run.phase ~= 'Cancelling' and message and",
        planted="if message and",
        caught_by=[
            submit_one,
            claim_all,
            lambda ledger: ledger.cancel_gracefully_and_then_by_force(
                uid="run-0", reason=Reason.CANCELLED_BY_USER
            ),
        ],
    ),
]
