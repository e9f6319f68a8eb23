"""Messages, timers, and the queues in use."""

from __future__ import annotations

from tests.contract.ledger.planted_faults.fault import Fault, claim_all, keyed, submit_one

FAULTS = [
    Fault(
        what="a message is pushed without admission",
        original="  local before = run.rev\n",
        planted="  push_message(run)\n  local before = run.rev\n",
        caught_by=[
            lambda ledger: ledger.submit_more(specs=[keyed(), keyed()]),
        ],
    ),
    Fault(
        what="an admission pushes no message",
        original="  push_message(run)\n  schedule('redispatch', run.uid, now + REDISPATCH_FIRST)",
        planted="  schedule('redispatch', run.uid, now + REDISPATCH_FIRST)",
        caught_by=[
            submit_one,
        ],
    ),
    Fault(
        what="a lost message is never pushed again",
        original="  schedule('redispatch', run.uid, now + REDISPATCH_FIRST)\n",
        planted="",
        caught_by=[
            submit_one,
            lambda ledger: ledger.lose_a_message(),
            lambda ledger: ledger.tick(due=["redispatch|run-0"], long_ago=True),
        ],
    ),
    Fault(
        what="a queue timeout ends what was claimed",
        original="  unschedule(uid, 'queue', 'redispatch')\n  announce(run)",
        planted="  unschedule(uid, 'redispatch')\n  announce(run)",
        caught_by=[
            lambda ledger: ledger.submit_rival(spec=keyed(max_queue_seconds=3600)),
            claim_all,
        ],
    ),
    Fault(
        what="a queue that comes back into use stays forgotten",
        original="  redis.call('HSET', prefix .. ':queues', queue, run.queue_key)\n",
        planted="",
        caught_by=[
            submit_one,
            lambda ledger: ledger.look_at_the_queues(),
        ],
    ),
    Fault(
        what="a queue whose message was just taken is forgotten",
        original="    lists[queue] = queue_key\n",
        planted="",
        caught_by=[
            submit_one,
            lambda ledger: ledger.take_every_message_and_claim_the_last_run(worker="w1", nonce="n1"),
        ],
    ),
]
