"""Settles runs that have ended, and adopts runs that Celery's pool has lost.

Only the keeper's thread uses it. Runs are changed under the table's lock. Invariant: a run leaves the table
only after the ledger has confirmed its end, or has revoked its claim.
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
    """Settles the runs of one worker's table."""

    def __init__(self, ledger: sync_client.Ledger, *, table: RunTable) -> None:
        self._ledger = ledger
        self._table = table
        #: The earliest time of the next try after a failure.
        self._not_before = 0.0

    def settle_ended(self, now: float) -> None:
        """Settle the ended runs, unless the ledger has just failed."""
        if now < self._not_before:
            return
        for run in self._table.all():
            if run.ended is None:
                continue
            try:
                self._settle(run)
            except LedgerUnavailable as error:
                logger.warning("run %s: cannot settle it yet: %s", run.claim.uid, error)
                # Each further try would wait for its own timeout and delay the renewals of other runs.
                self._not_before = time.monotonic() + _AGAIN_SECONDS
                return
            except Exception:
                # The other runs must still be settled.
                logger.exception("run %s: cannot settle it; retrying", run.claim.uid)
                self._not_before = time.monotonic() + _AGAIN_SECONDS

    def look_after_adopted(self) -> None:
        """Check adopted runs: only a staged outcome or the death of their process shows their end."""
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
        """Watch the child that executes a run that the pool has lost; False if there is none."""
        begun = self._ledger.run(commands.begun(*run.key))
        if begun is None:
            return False
        logger.warning("run %s: Celery's pool has lost it; watching its process %d", run.claim.uid, begun.pid)
        with self._table.lock:
            # The pool may have reported its end meanwhile.
            returned = run.returned or begun.is_staged
            self._table.update(run, undispatched=False, adopted=True, returned=returned)
            take_pid(self._table, run, begun.pid)
            self._table.update(run, ended=None)
        return True
