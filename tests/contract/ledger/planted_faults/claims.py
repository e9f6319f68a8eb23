"""Claims, fences, starts, renewals."""

from __future__ import annotations

from tests.contract.ledger.planted_faults.fault import (
    AGAIN_LATER,
    SUCCEEDED,
    Fault,
    claim_all,
    submit_one,
    unkeyed,
)

FAULTS = [
    Fault(
        what="a reclaim ignores the counter",
        original="if redis.call('HGET', prefix .. ':leases', uid) ~= fence .. ':' .. counter then",
        planted="if not redis.call('HGET', prefix .. ':leases', uid) then",
        caught_by=[
            submit_one,
            claim_all,
            lambda ledger: ledger.reclaim_what_moved(uid="run-0"),
        ],
    ),
    Fault(
        what="a settle ignores the fence",
        original="if run.fence ~= fence then return { 'fenced', run.phase, run.reason } end",
        planted="",
        caught_by=[
            submit_one,
            claim_all,
            lambda ledger: ledger.change_hands(uid="run-0", worker="w2", words="settle", outcome=SUCCEEDED),
        ],
    ),
    Fault(
        what="a claim is not a compare-and-set",
        original="if run.phase ~= 'Admitted' or run.reason ~= 'WaitingForWorker' or run.attempt ~= attempt",
        planted="if run.phase ~= 'Admitted' and run.phase ~= 'Running'",
        caught_by=[
            submit_one,
            claim_all,
            lambda ledger: ledger.settle(uid="run-0", outcome=AGAIN_LATER),
            lambda ledger: ledger.claim_all_that_are_admitted(worker="w2", nonce="n2"),
        ],
    ),
    Fault(
        what="a claim takes what still backs off",
        original="or run.reason ~= 'WaitingForWorker' or run.attempt ~= attempt",
        planted="or run.attempt ~= attempt",
        caught_by=[
            submit_one,
            claim_all,
            lambda ledger: ledger.settle(uid="run-0", outcome=AGAIN_LATER),
            lambda ledger: ledger.claim_all_that_are_admitted(worker="w2", nonce="n2"),
        ],
    ),
    Fault(
        what="a late message starts the next attempt",
        original="or run.reason ~= 'WaitingForWorker' or run.attempt ~= attempt",
        planted="or run.reason ~= 'WaitingForWorker'",
        caught_by=[
            submit_one,
            lambda ledger: ledger.claim_anything(uid="run-0", attempt=3, worker="w1", nonce="n1"),
        ],
    ),
    Fault(
        what="fences stand still",
        original="text(redis.call('HINCRBY', prefix .. ':meta', 'fence', 1))",
        planted="'1'",
        caught_by=[
            lambda ledger: ledger.submit_more(specs=[unkeyed(), unkeyed()]),
            claim_all,
        ],
    ),
    Fault(
        what="a second submit starts the run again",
        original="if known then return summary('existing', uid) end",
        planted="",
        caught_by=[
            submit_one,
            lambda ledger: ledger.submit_again(uid="run-0"),
        ],
    ),
    Fault(
        what="one claim may start twice",
        original="change(run, { begun_fence = run.fence, begun_pid = pid })",
        planted="",
        caught_by=[
            submit_one,
            claim_all,
            lambda ledger: ledger.start(uid="run-0", again=True),
        ],
    ),
    Fault(
        what="a body that has started is handed back",
        original="  if run.begun_fence == run.fence then return 'begun' end\n"
        "  if run.phase == 'Cancelling' then\n",
        planted="  if run.phase == 'Cancelling' then\n",
        caught_by=[
            submit_one,
            claim_all,
            lambda ledger: ledger.start(uid="run-0", again=False),
            lambda ledger: ledger.handback(uid="run-0"),
        ],
    ),
    Fault(
        what="a handback counts as an attempt",
        original="change(run, { worker = '', nonce = '', started_at = '' })",
        planted="change(run, { worker = '', nonce = '', started_at = '', attempt = text(run.attempt + 1) })",
        caught_by=[
            submit_one,
            claim_all,
            lambda ledger: ledger.handback(uid="run-0"),
        ],
    ),
    Fault(
        what="any worker renews any claim",
        original="if run and run.worker == worker then",
        planted="if run then",
        caught_by=[
            submit_one,
            claim_all,
            lambda ledger: ledger.renew(worker="w2", claims=[("run-0", 1)]),
        ],
    ),
    Fault(
        what="an outcome staged by an older claim counts",
        original="if run.staged_fence ~= run.fence then return reported end",
        planted="if run.staged_fence == '' then return reported end",
        caught_by=[
            submit_one,
            claim_all,
            lambda ledger: ledger.stage(uid="run-0", outcome=SUCCEEDED),
            lambda ledger: ledger.handback(uid="run-0"),
            lambda ledger: ledger.claim_all_that_are_admitted(worker="w2", nonce="n2"),
            lambda ledger: ledger.reclaim_what_stood_still(uid="run-0"),
        ],
    ),
]
