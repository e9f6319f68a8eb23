"""The ledger alone: one run comes, one is claimed, one ends, again and again, and nobody works.

Each cycle is three calls over one connection. Each claimed run has had to wait for the one before it, and
whatever the number of keys, as many runs are live: so the work is the same, and only the keys differ.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from kelery.ledger import commands
from kelery.ledger.types import Claim, Outcome
from kelery_bench.loads.ledger_runs import LedgerRuns
from kelery_dev.errors import DevError

_WORKER = "celery@bench/00000000"
_OUTCOME = Outcome(kind="succeeded", result_json="null")
#: Does nothing but go there and come back.
_LIBRARY = "kelery_bench"
_NOTHING = "kelery_bench_nothing"
_SOURCE = f"""#!lua name={_LIBRARY}
redis.register_function('{_NOTHING}', function() return {{'ok', '1', '', '30000', '1', ''}} end)
"""


class LedgerCycles:
    """`live` runs of `keys` keys, evenly: the first of each key is admitted, the others wait."""

    def __init__(self, runs: LedgerRuns, *, keys: int, live: int) -> None:
        self._runs = runs
        self._names = itertools.cycle([f"of-{keys}-{number}" for number in range(keys)])
        self._numbers = itertools.count()
        submissions = [runs.submission(key=next(self._names)) for _ in range(live)]
        runs.submit(submissions)
        #: In the order in which they get their turn: round the keys, and first come, first served in each.
        self._turns = deque(submission.uid for submission in submissions)

    def rate(self, count: int) -> float:
        """Cycles a second."""
        coming = [self._runs.submission(key=next(self._names)) for _ in range(count)]
        submits = [(submission.uid, commands.submit(submission)) for submission in coming]
        run = self._runs.ledger.run
        began = time.perf_counter()
        for uid, submit in submits:
            run(submit)
            self._turns.append(uid)
            turn = self._turns.popleft()
            claim = run(commands.claim(turn, attempt=1, worker=_WORKER, nonce=f"{next(self._numbers):08x}"))
            if not isinstance(claim, Claim):
                raise DevError(f"run {turn} should be admitted by now: {claim.why}")
            run(commands.settle(turn, claim.fence, _OUTCOME))
        return count / (time.perf_counter() - began)


class RoundTrips:
    """As many calls with as many words, of a function that does nothing."""

    def __init__(self, runs: LedgerRuns) -> None:
        self._runs = runs
        runs.ledger.client.function_load(_SOURCE, replace=True)

    def rate(self, count: int) -> float:
        """Of three calls each a second."""
        prefix = self._runs.ledger.prefix
        coming = [commands.submit(self._runs.submission(key="none")).words(prefix) for _ in range(count)]
        client = self._runs.ledger.client
        uid = "00000000-0000-0000-0000-000000000000"
        began = time.perf_counter()
        for submit in coming:
            client.execute_command(*_nothing(submit))
            claim = commands.claim(uid, attempt=1, worker=_WORKER, nonce="00000000")
            client.execute_command(*_nothing(claim.words(prefix)))
            client.execute_command(*_nothing(commands.settle(uid, 1, _OUTCOME).words(prefix)))
        return count / (time.perf_counter() - began)


def _nothing(words: Sequence[Any]) -> Iterator[Any]:
    """The same words, but for the function's name."""
    return itertools.chain((words[0], _NOTHING), words[2:])
