"""Settles the runs that the watcher found ended, and takes up those that the pool has lost sight of.

Used by the keeper's thread alone; the runs are changed under the table's lock. Invariant: a run leaves the
table only once the ledger has answered how it ended, or that it is no longer ours.
"""

from __future__ import annotations

import time

from kelery.errors import LedgerUnavailable
from kelery.ledger import commands, sync_client
from kelery_worker.relayed_log import logger
from kelery_worker.runs import ended_run
from kelery_worker.runs.live_run import LiveRun, Step, Stop
from kelery_worker.runs.run_table import RunTable
from kelery_worker.runs.watcher import let_go, take_pid

_AGAIN_SECONDS = 0.5


class Settling:
    """For one worker's table."""

    def __init__(self, ledger: sync_client.Ledger, *, table: RunTable) -> None:
        self._ledger = ledger
        self._table = table
        #: After a failure, when the next try may be.
        self._not_before = 0.0

    def settle_ended(self, now: float) -> None:
        """Settle what has ended, unless the ledger was away just now."""
        if now < self._not_before:
            return
        for run in self._table.all():
            if run.ended is None:
                continue
            try:
                self._settle(run)
            except LedgerUnavailable as error:
                logger.warning("run %s: cannot settle it yet: %s", run.claim.uid, error)
                # Each further try would cost its own time-out, and the renewals of the others wait.
                self._not_before = time.monotonic() + _AGAIN_SECONDS
                return
            except Exception:
                # It must not keep the others from being settled.
                logger.exception("run %s: cannot settle it; trying again", run.claim.uid)
                self._not_before = time.monotonic() + _AGAIN_SECONDS

    def look_after_adopted(self) -> None:
        """Their end shows only in what they stage, or in the death of their process."""
        for run in self._table.all():
            if run.adopted and run.ended is None:
                begun = self._ledger.run(commands.begun(*run.key))
                if begun is not None and begun.is_staged:
                    self._table.update(run, returned=True)

    def _settle(self, run: LiveRun) -> None:
        uid, fence = run.key
        if run.stop is not Stop.FENCED and run.ended is Step.HAND_BACK:
            if not self._ledger.run(commands.handback(uid, fence)) and self._adopt(run):
                return
        elif run.stop is not Stop.FENCED:
            self._ledger.run(commands.settle(uid, fence, ended_run.outcome(run)))
        self._table.remove(run)
        let_go(run.pidfd)

    def _adopt(self, run: LiveRun) -> bool:
        """A child has begun with a run that the pool seemed to have lost: watch that child; False if there is
        none.
        """
        begun = self._ledger.run(commands.begun(*run.key))
        if begun is None:
            return False
        logger.warning(
            "run %s: the pool has lost sight of it; watching its process %d", run.claim.uid, begun.pid
        )
        with self._table.lock:
            # The pool may have found it again meanwhile, and reported its end.
            returned = run.returned or begun.is_staged
            self._table.update(run, undispatched=False, adopted=True, returned=returned)
            take_pid(self._table, run, begun.pid)
            self._table.update(run, ended=None)
        return True
