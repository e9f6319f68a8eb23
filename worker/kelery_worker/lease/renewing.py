"""Renews the leases of this worker's runs in one call, and marks the runs that must stop.

Only the keeper's thread uses it. Runs are changed under the table's lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from kelery.errors import LedgerError
from kelery.ledger import commands, queries, sync_client
from kelery.ledger.types import Renewals
from kelery_worker.lease.worker_info import WorkerInfo
from kelery_worker.relayed_log import logger
from kelery_worker.runs.live_run import LiveRun, Stop
from kelery_worker.runs.run_table import RunTable


class Renewing:
    """The renewals of one worker, which the ledger knows as `identity`."""

    def __init__(
        self, ledger: sync_client.Ledger, *, identity: str, table: RunTable, info: WorkerInfo
    ) -> None:
        self._ledger = ledger
        self._identity = identity
        self._table = table
        self._info = info

    def renew(self, now: float) -> Sequence[tuple[str, int]]:
        """Renew every claim; returns claims that the ledger lists for this worker but that were not sent.

        Raises KeleryError.
        """
        answer = self._renew_all([run.key for run in self._table.all()])
        with self._table.lock:
            for run in self._table.all():
                if run.key in answer.statuses:
                    _take(run, answer.statuses[run.key], sent_at=now)
        return answer.orphans

    def _renew_all(self, held: list[tuple[str, int]]) -> Renewals:
        """The same round trip also reports this worker; the result of that call does not matter."""
        present = queries.present(self._identity, self._info.info_json())
        both: list[commands.Call[Any]] = [commands.renew(self._identity, held), present]
        renewals, _ = self._ledger.run_all(both)
        if isinstance(renewals, LedgerError):
            raise renewals
        return cast(Renewals, renewals)


def _take(run: LiveRun, status: str, *, sent_at: float) -> None:
    if status == "fenced":
        if run.stop is not Stop.FENCED and run.ended is None:
            logger.warning(
                "run %s: killing it: its claim was revoked (fence %d)", run.claim.uid, run.claim.fence
            )
        run.fence_off(now=sent_at)
        return
    run.renewed_at = sent_at
    if status == "graceful" and run.stop is None:
        run.ask_to_stop(Stop.CANCEL, now=sent_at, grace=run.claim.grace_seconds)
    elif status == "force":
        run.ask_to_stop(Stop.CANCEL, now=sent_at, grace=0)
