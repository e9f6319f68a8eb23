"""A chain of runs of one key, each of which starts when the one before it has ended, ahead of many that wait.

The waiters have a lower priority, so they stay where they are from round to round. Before and after a chain
a run on a queue that no worker takes holds the key.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from kelery_bench.figures.stamps import read_stamps
from kelery_bench.loads.ledger_runs import NOBODY, LedgerRuns
from kelery_dev.errors import DevError


class KeyChain:
    """One key with `waiters` runs that wait for it and are not reached."""

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
        """Seconds from the end of each body to the beginning of the next one's, `length` bodies in all."""
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
            raise DevError(f"{self._waiters} runs should wait for {self._key} all the time")
        return gaps(file, length=length)


def gaps(file: Path, *, length: int) -> list[float]:
    """Seconds between one task's end and the next one's beginning."""
    stamps = read_stamps(file)
    file.unlink()
    if [stamp.label for stamp in stamps] != [str(number) for number in range(length)]:
        raise DevError(f"{length} tasks should have run, each once and in their order")
    return [(later.began - earlier.ended) / 1e9 for earlier, later in itertools.pairwise(stamps)]
