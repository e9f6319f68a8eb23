"""The keeper: handles the claimed runs of this worker in the ledger.

Its thread renews their leases (`renewing.py`) and settles them once the watcher reports their end
(`settling.py`). It may block on Redis, so it stops no run itself. Task code never executes in this process.

Invariant: a run is renewed from its claim until it is settled, and no longer.
"""

from __future__ import annotations

import secrets
import select
import threading
import time
from contextlib import suppress
from typing import Any

from kelery.errors import KeleryError
from kelery.ledger import commands, queries, sync_client
from kelery.ledger.lease_observer import LeaseObserver
from kelery.run.phases import Reason
from kelery.run.run_message import Tag
from kelery.settings import Lease
from kelery_worker.lease.cancel_listener import CancelListener
from kelery_worker.lease.claiming import Claiming
from kelery_worker.lease.outage_log import OutageLog
from kelery_worker.lease.renewing import Renewing
from kelery_worker.lease.settling import Settling
from kelery_worker.lease.worker_info import WorkerInfo
from kelery_worker.relayed_log import Relay, logger
from kelery_worker.runs.live_run import LiveRun, Stop
from kelery_worker.runs.pool_signals import can_kill
from kelery_worker.runs.reaper_process import ReaperProcess
from kelery_worker.runs.run_table import RunTable
from kelery_worker.runs.wakeup import Wakeup
from kelery_worker.runs.watcher import Watcher, take_pid

#: How often timers and leases are checked; admitting the next run does not wait for it.
TICK_SECONDS = 0.5
UNAVAILABLE_AGAIN_SECONDS = 0.5
SHUTDOWN_SECONDS = 8.0
COLD_GRACE_SECONDS = 5.0
#: Each reclaim is a round trip that delays renewals; the rest follows at the next tick.
_RECLAIMS_A_TICK = 20


class Keeper:
    """See the module. Celery's main thread calls the reporting methods; only `claim` waits for Redis."""

    def __init__(
        self, *, ledger: sync_client.Ledger, lease: Lease, worker: Any, drain_seconds: float
    ) -> None:
        self._ledger = ledger
        self._lease = lease
        pool = self._pool = worker.pool
        self._drain_seconds = drain_seconds
        self.nonce = secrets.token_hex(4)
        #: The worker's identity in the ledger; a restarted worker of the same name gets a new one.
        self.identity = f"{worker.hostname}/{self.nonce}"
        self._table = RunTable()
        self._claiming = Claiming(ledger, identity=self.identity)
        info = WorkerInfo(worker)
        self._renewing = Renewing(ledger, identity=self.identity, table=self._table, info=info)
        self._settling = Settling(ledger, table=self._table)
        self._observer = LeaseObserver(stand_still=lease.stand_still)
        self._relay = Relay()
        self._outage = OutageLog()
        self._wakeup = Wakeup()
        self._watcher = Watcher(
            self._table, pool=pool, lease=lease, worker_nonce=self.nonce, on_ended=self._wakeup.wake
        )
        channel = f"{ledger.prefix}:nudge:{self.identity}"
        self._cancels = CancelListener(ledger, channel=channel, on_cancel=self._renew_now)
        self._reaper = ReaperProcess(nonce=self.nonce)
        self._thread = threading.Thread(target=self._run, name="kelery-keeper", daemon=True)
        self._next_tick = self._next_renewal = 0.0
        self._drain_began = float("inf")
        self._drain_at: float | None = None
        self._draining = self._finishing = False
        #: The last successful answer of the ledger, on the monotonic clock.
        self.answered_at = float("-inf")

    # Called by the worker's main thread

    def start(self) -> None:
        """Start renewing and watching; the ledger may still be unavailable."""
        self._relay.start()
        self._reaper.start()
        self._watcher.start()
        self._cancels.start()
        self._thread.start()

    @property
    def is_draining(self) -> bool:
        """Whether no new run may start here."""
        return self._draining

    @property
    def has_runs(self) -> bool:
        """Whether any run is claimed here and not settled."""
        return bool(self._table.all())

    def claim(self, request: Any, *, tag: Tag | None) -> LiveRun | None:
        """Claim the run in `request`'s message; None if there is nothing to start."""
        if tag is None or tag.uid != request.id:
            logger.warning("run %s: dropped a message that the ledger did not write", request.id)
            return None
        if not can_kill(self._pool):
            message = "runs need the prefork pool: start the worker with -P prefork"
            self.refuse(tag, Reason.POOL_NOT_SUPPORTED, message)
            return None
        try:
            asked_at = time.monotonic()
            claim = self._claiming.ask(tag)
            if claim is None:
                return None
            if claim.cancel:
                self._claiming.hand_back(claim.uid, claim.fence)
                return None
            run = LiveRun(claim=claim, request=request, claimed_at=asked_at, renewed_at=asked_at)
            if self._table.add(run):
                self._watcher.wake()
            return run
        finally:
            self._claiming.answered(tag.uid)

    def refuse(self, tag: Tag, reason: Reason, message: str) -> None:
        """End a run that this worker cannot execute."""
        self._claiming.refuse(tag, reason, message)

    def accepted(self, run: LiveRun, pid: int) -> None:
        """Pool child `pid` has taken the run."""
        take_pid(self._table, run, pid)
        self._watcher.look_soon()

    def returned(self, run: LiveRun, error: BaseException | None) -> None:
        """The child returned the run and is free; waits for a signal that is being sent to it."""
        self._watcher.returned(run, error)

    def timed_out(self, run: LiveRun, seconds: float) -> None:
        """Celery is about to kill the run at Celery's own time limit, in seconds."""
        with self._table.lock:
            run.celery_limit = seconds
            run.ask_to_stop(Stop.TIMEOUT, now=time.monotonic(), grace=0)
        self._watcher.wake()

    def not_dispatched(self, run: LiveRun) -> None:
        """The pool did not accept the run, so it never started."""
        self._table.update(run, undispatched=True)
        self._watcher.wake()

    def untaken(self) -> list[LiveRun]:
        """The runs in the pool that no child has confirmed."""
        return [run for run in self._table.all() if run.pid is None and run.job is not None]

    def on_shutting_down(self, **_: Any) -> None:
        """A shutdown begins: no new runs; running ones may end, within the drain time if one is set."""
        self._draining = True
        self._drain_began = time.monotonic()
        if self._drain_seconds:
            self._drain_at = time.monotonic() + self._drain_seconds

    def stop_running(self) -> None:
        """A cold shutdown: SIGTERM for running tasks, then SIGKILL."""
        self._draining = True
        self._stop_all(COLD_GRACE_SECONDS)

    def on_shutdown(self, **_: Any) -> None:
        """Celery has shut down: settle the remaining runs."""
        self.end_all()

    def end_all(self) -> None:
        """Kill the running tasks, settle them and stop, in bounded time; observers reclaim the rest."""
        self._draining = self._finishing = True
        self._stop_all(0)
        self._wakeup.wake()
        if self._thread.is_alive():
            self._thread.join(SHUTDOWN_SECONDS)
        self._watcher.stop()
        self._cancels.stop()
        if not self._thread.is_alive():
            # Else processes of runs may be left, and the reaper kills them after this process.
            self._reaper.stop()
        self._relay.stop()

    def _stop_all(self, grace: float) -> None:
        running = self._table.all()
        if running:
            logger.warning("stopping %d runs that have not ended at the worker's shutdown", len(running))
        self._table.ask_all_to_stop(Stop.DRAIN, now=time.monotonic(), grace=grace)
        self._watcher.wake()

    def _renew_now(self) -> None:
        self._next_renewal = 0.0
        self._wakeup.wake()

    # The keeper's own thread

    def _run(self) -> None:
        while not (self._finishing and not self._table.all()):
            try:
                self._round()
                self._sleep()
            except Exception:
                # The leases of all other runs depend on this thread.
                logger.exception("unexpected error in the keeper; continuing")
                time.sleep(UNAVAILABLE_AGAIN_SECONDS)
        with suppress(KeleryError):
            self._ledger.run(queries.leave(self.identity))

    def _round(self) -> None:
        now = time.monotonic()
        if self._drain_at is not None and now >= self._drain_at:
            self._drain_at = None
            self._stop_all(0)
        if now >= max(self._drain_began, self.answered_at) + self._lease.give_up:
            self._drain_began = float("inf")
            logger.warning("stopping all runs: the ledger has not answered for too long during the shutdown")
            self._stop_all(0)
        if now >= self._next_renewal:
            self._next_renewal = now + self._lease.renew_every
            self._renew(now)
        if now >= self._next_tick:
            self._next_tick = now + TICK_SECONDS
            self._tick(now)
        self._settling.settle_ended(now)

    def _sleep(self) -> None:
        until = min(self._next_tick, self._next_renewal)
        poll = select.poll()
        poll.register(self._wakeup.fileno(), select.POLLIN)
        poll.poll(max(0.0, until - time.monotonic()) * 1000 + 1)
        self._wakeup.clear()

    def _renew(self, now: float) -> None:
        try:
            orphans = self._renewing.renew(now)
        except KeleryError as error:
            self._outage.failed(error)
            self._next_renewal = time.monotonic() + UNAVAILABLE_AGAIN_SECONDS
            return
        self._settling.look_after_adopted()
        self._watcher.wake()
        ours = {run.claim.uid for run in self._table.all()}
        self._claiming.take_orphans(set(orphans), ours=ours)

    def _tick(self, now: float) -> None:
        try:
            leases = self._ledger.run(commands.tick(leases=True)).leases
            self._outage.answered()
            self.answered_at = time.monotonic()
            for uid, lease in self._observer.observe(leases, now)[:_RECLAIMS_A_TICK]:
                if self._ledger.run(commands.reclaim(uid, lease)):
                    logger.warning("run %s: reclaimed: its lease expired", uid)
        except KeleryError as error:
            self._observer.forget()
            self._outage.failed(error)
