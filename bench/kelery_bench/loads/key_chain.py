"""A chain of runs of one key: each starts when the one before it has ended, ahead of many waiters.

The waiters have a lower priority, so they keep waiting in every round. Before and after a chain, a run on a
queue without workers holds the key.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from kelery_bench.figures.stamps import read_stamps
from kelery_bench.loads.ledger_runs import NOBODY, LedgerRuns
from kelery_dev.errors import DevError


class KeyChain:
    """One key with `waiters` runs that never start."""

    def __init__(self, runs: LedgerRuns, *, key: str, waiters: int, queue: str) -> None:
        self._runs = runs
        self._key = key
        self._queue = queue
        self._waiters = waiters
        stopper = runs.submission(key=key, queue=NOBODY)
        parked = [runs.submission(key=key, queue=NOBODY, priority=-1) for _ in range(waiters)]
        runs.submit([stopper, *parked])
        self._stopper = stopper.uid

    def run(self, file: Path, *, length: int) -> list[float]:
        """The seconds from the end of each task until the start of the next, for `length` tasks."""
        links = [
            self._runs.submission(
                key=self._key, queue=self._queue, task="bench.stamp", args=(str(file), str(number))
            )
            for number in range(length)
        ]
        stopper = self._runs.submission(key=self._key, queue=NOBODY)
        self._runs.submit([*links, stopper])
        self._runs.cancel(self._stopper)
        self._stopper = stopper.uid
        self._runs.wait_until(stopper.uid, phase="Admitted")
        if self._runs.waiting(self._key) != self._waiters:
            raise DevError(f"the key {self._key} must have {self._waiters} waiting runs all the time")
        return gaps(file, length=length)


def gaps(file: Path, *, length: int) -> list[float]:
    """The seconds between the end of each task and the start of the next."""
    stamps = read_stamps(file)
    file.unlink()
    if [stamp.label for stamp in stamps] != [str(number) for number in range(length)]:
        raise DevError(f"expected {length} tasks to execute once each, in order")
    return [(later.began - earlier.ended) / 1e9 for earlier, later in itertools.pairwise(stamps)]
