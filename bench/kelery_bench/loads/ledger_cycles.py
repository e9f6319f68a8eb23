"""The ledger alone: submit, claim and settle runs in cycles, without a worker.

Each cycle is three calls over one connection. Each claimed run has waited for the one before it. The number
of live runs does not depend on the number of keys, so only the keys differ.
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
#: A function that only returns.
_LIBRARY = "kelery_bench"
_NOTHING = "kelery_bench_nothing"
_SOURCE = f"""#!lua name={_LIBRARY}
redis.register_function('{_NOTHING}', function() return {{'ok', '1', '', '30000', '1', ''}} end)
"""


class LedgerCycles:
    """`live` runs, evenly on `keys` keys: the first of each key is admitted, the others wait."""

    def __init__(self, runs: LedgerRuns, *, keys: int, live: int) -> None:
        self._runs = runs
        self._names = itertools.cycle([f"of-{keys}-{number}" for number in range(keys)])
        self._numbers = itertools.count()
        submissions = [runs.submission(key=next(self._names)) for _ in range(live)]
        runs.submit(submissions)
        #: The order of admission: round-robin over the keys, first in, first out within each.
        self._turns = deque(submission.uid for submission in submissions)

    def rate(self, count: int) -> float:
        """Cycles per second."""
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
                raise DevError(f"run {turn} is not admitted: {claim.why}")
            run(commands.settle(turn, claim.fence, _OUTCOME))
        return count / (time.perf_counter() - began)


class RoundTrips:
    """The same number of calls with the same arguments, to a function that does nothing."""

    def __init__(self, runs: LedgerRuns) -> None:
        self._runs = runs
        runs.ledger.client.function_load(_SOURCE, replace=True)

    def rate(self, count: int) -> float:
        """Cycles of three calls per second."""
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
    """The same arguments with the other function's name."""
    return itertools.chain((words[0], _NOTHING), words[2:])
