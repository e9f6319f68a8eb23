"""The keeper: a thread of the worker's main process that answers for the runs it has claimed.

It renews their leases, stops those that must stop, notices when their process is gone, and settles them once
their body no longer executes. Task code never runs in this process, so nothing it does can keep the keeper
from its clock.

Invariants
  - a run is signalled only under the lock and only while its child has not given it back, so a child that has
    taken the next job is never hit;
  - a run that was stopped is settled only after its process, and whatever that started, is dead (A2, A7);
  - a run is renewed from its claim until it is settled, and no longer.
"""

from __future__ import annotations

import logging
import secrets
import select
import threading
import time
from typing import Any

from kelery.doorbell import Tag
from kelery.errors import KeleryError, LedgerError
from kelery.ledger import calls, sync
from kelery.ledger.messages import Claim
from kelery.ledger.observer import LeaseObserver
from kelery.phases import Reason
from kelery.settings import Lease
from kelery_worker import processes
from kelery_worker.claiming import Claiming
from kelery_worker.guard_process import GuardProcess
from kelery_worker.live_run import LiveRun, Step, Stop
from kelery_worker.nudges import NudgeListener
from kelery_worker.pool_kill import can_kill, send_signal
from kelery_worker.stopped_run import StoppedRun
from kelery_worker.wakeup import Wakeup

logger = logging.getLogger("kelery.worker")

#: Also how often timers act and leases are observed; a hand-over does not wait for it.
TICK_SECONDS = 0.5
#: How soon a look at a dying process tree, or a settle that Redis did not take, is repeated.
AGAIN_SECONDS = 0.05
UNAVAILABLE_AGAIN_SECONDS = 0.5
SHUTDOWN_SECONDS = 8.0
COLD_GRACE_SECONDS = 5.0


class Keeper:
    """See the module. Methods named after what Celery reports are called from the main thread and never block
    on Redis, but for `claim`."""

    def __init__(
        self, *, ledger: sync.Ledger, lease: Lease, hostname: str, pool: Any, drain_seconds: float
    ) -> None:
        self._ledger = ledger
        self._lease = lease
        self._pool = pool
        self._drain_seconds = drain_seconds
        self.nonce = secrets.token_hex(4)
        #: Who we are in the ledger; a restarted worker of the same name is another one.
        self.identity = f"{hostname}/{self.nonce}"
        self._lock = threading.RLock()
        self._runs: dict[str, LiveRun] = {}
        self._stopped: dict[str, StoppedRun] = {}
        self._claiming = Claiming(ledger, identity=self.identity)
        self._observer = LeaseObserver(stand_still=lease.stand_still)
        self._wakeup = Wakeup()
        self._nudges = NudgeListener(
            ledger, channel=f"{ledger.prefix}:nudge:{self.identity}", heard=self._nudged
        )
        self._thread = threading.Thread(target=self._run, name="kelery-keeper", daemon=True)
        self._next_tick = self._next_renewal = 0.0
        self._drain_at: float | None = None
        self._draining = self._finishing = False
        self._guard = GuardProcess(nonce=self.nonce)

    # What the worker's main thread tells us

    def start(self) -> None:
        """Start watching; the ledger need not be there yet."""
        self._guard.start()
        self._nudges.start()
        self._thread.start()

    @property
    def is_draining(self) -> bool:
        """Whether no new run may start here."""
        return self._draining

    def claim(self, request: Any, *, tag: Tag | None) -> Claim | None:
        """Claim the run that `request`'s message rings for; None if there is nothing to start."""
        if tag is None or tag.uid != request.id:
            logger.warning("run %s: a message that the ledger did not write was dropped", request.id)
            return None
        if not can_kill(self._pool):
            self.refuse(
                tag,
                Reason.POOL_NOT_SUPPORTED,
                "Kelery's runs need the prefork pool: start the worker with -P prefork",
            )
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
            with self._lock:
                self._runs[tag.uid] = run
            return claim
        finally:
            self._claiming.answered(tag.uid)

    def refuse(self, tag: Tag, reason: Reason, message: str) -> None:
        """End a run that this worker cannot run at all."""
        self._claiming.refuse(tag, reason, message)

    def accepted(self, uid: str, pid: int) -> None:
        """Pool child `pid` has the run."""
        self._update(
            uid,
            pid=pid,
            pidfd=processes.open_pidfd(pid),
            accepted_at=time.monotonic(),
            accepted_ticks=processes.ticks_now(),
        )

    def returned(self, uid: str, error: BaseException | None) -> None:
        """The child gave the run back and is free for another job; waits for a signal that is being sent to
        it.
        """
        self._update(uid, returned=True, error=error, returned_ticks=processes.ticks_now())

    def dying(self, uid: str) -> None:
        """The child of the run is ending or gone, says Celery; we go by its process."""
        self._wakeup.ring()

    def timed_out(self, uid: str, seconds: float) -> None:
        """Celery is about to kill the run for a limit of its own."""
        with self._lock:
            run = self._runs.get(uid)
            if run is not None:
                run.celery_limit = seconds
                run.ask_to_stop(Stop.TIMEOUT, now=time.monotonic(), grace=0)
        self._wakeup.ring()

    def not_dispatched(self, uid: str) -> None:
        """The pool did not take the run: it never started."""
        self._update(uid, undispatched=True)

    def on_shutting_down(self, **_: Any) -> None:
        """A shutdown begins: nothing new; what runs may end, within the drain's time if one is set."""
        self._draining = True
        if self._drain_seconds:
            self._drain_at = time.monotonic() + self._drain_seconds
        self._wakeup.ring()

    def stop_running(self) -> None:
        """A cold shutdown: SIGTERM for what runs, and SIGKILL soon after."""
        self._draining = True
        self._stop_all(COLD_GRACE_SECONDS)
        self._wakeup.ring()

    def on_shutdown(self, **_: Any) -> None:
        """Celery is done: settle what is left."""
        self.end_all()

    def end_all(self) -> None:
        """Kill what runs, settle it, and stop; bounded in time. What is not settled then is reclaimed by
        others.
        """
        self._draining = True
        self._stop_all(0)
        self._finishing = True
        self._wakeup.ring()
        if self._thread.is_alive():
            self._thread.join(SHUTDOWN_SECONDS)
        self._nudges.stop()
        self._guard.stop()

    def _update(self, uid: str, **changes: Any) -> None:
        with self._lock:
            # Also one that is being handed back: that may be refused.
            run = self._runs.get(uid) or (self._stopped[uid].run if uid in self._stopped else None)
            if run is not None:
                for field, value in changes.items():
                    setattr(run, field, value)
        self._wakeup.ring()

    def _nudged(self) -> None:
        self._next_renewal = 0.0
        self._wakeup.ring()

    # The thread

    def _run(self) -> None:
        while True:
            try:
                if self._round():
                    return
            except Exception:
                # Whatever it was, the leases of all the other runs depend on this thread.
                logger.exception("the keeper stumbled; going on")
                time.sleep(AGAIN_SECONDS)

    def _round(self) -> bool:
        """One round; True when it was the last."""
        now = time.monotonic()
        if self._drain_at is not None and now >= self._drain_at:
            self._drain_at = None
            self._stop_all(0)
        if now >= self._next_renewal:
            self._next_renewal = now + self._lease.renew_every
            self._renew(now)
        if now >= self._next_tick and not self._finishing:
            self._next_tick = now + TICK_SECONDS
            self._tick(now)
        busy = self._attend_all()
        if self._finishing and not self._runs and not self._stopped:
            return True
        self._sleep(busy)
        return False

    def _sleep(self, busy: float | None) -> None:
        with self._lock:
            dues = [due for run in self._runs.values() if (due := run.due(lease=self._lease)) is not None]
            watched = {
                run.pidfd: uid for uid, run in self._runs.items() if run.pidfd is not None and not run.dead
            }
        until = min([self._next_tick, self._next_renewal, *dues])
        timeout = max(0.0, until - time.monotonic())
        if busy is not None:
            timeout = min(timeout, busy)
        poll = select.poll()
        poll.register(self._wakeup.fileno(), select.POLLIN)
        for fd in watched:
            poll.register(fd, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(timeout * 1000 + 1)}
        self._wakeup.clear()
        for fd in ready & watched.keys():
            self._update(watched[fd], dead=True)

    def _stop_all(self, grace: float) -> None:
        now = time.monotonic()
        with self._lock:
            for uid, run in self._runs.items():
                logger.warning("run %s: not finished at the worker's shutdown; stopping it", uid)
                run.ask_to_stop(Stop.DRAIN, now=now, grace=min(grace, run.claim.grace_seconds))

    def _renew(self, now: float) -> None:
        with self._lock:
            held = [(run.claim.uid, run.claim.fence) for run in self._runs.values()]
            held += [(stopped.run.claim.uid, stopped.run.claim.fence) for stopped in self._stopped.values()]
        try:
            answer = self._ledger.run(calls.renew(self.identity, held))
        except KeleryError as error:
            logger.warning("cannot renew %d runs: %s", len(held), error)
            self._next_renewal = time.monotonic() + UNAVAILABLE_AGAIN_SECONDS
            return
        with self._lock:
            for uid, fence in held:
                run = self._runs.get(uid)
                if run is not None and run.claim.fence == fence:
                    self._take_renewal(run, answer.statuses[uid, fence], sent_at=now)
            ours = self._runs.keys() | self._stopped.keys()
        self._claiming.take_orphans(set(answer.orphans), ours=ours)

    def _take_renewal(self, run: LiveRun, status: str, *, sent_at: float) -> None:
        if status == "fenced":
            if run.stop is not Stop.FENCED and not run.returned:
                logger.warning(
                    "run %s: no longer ours (fence %d); killing it", run.claim.uid, run.claim.fence
                )
            run.stop = Stop.FENCED
            run.ask_to_stop(Stop.FENCED, now=sent_at, grace=0)
            return
        run.renewed_at = sent_at
        if status == "graceful" and run.stop is None:
            run.ask_to_stop(Stop.CANCEL, now=sent_at, grace=run.claim.grace_seconds)
        elif status == "force":
            run.ask_to_stop(Stop.CANCEL, now=sent_at, grace=0)

    def _tick(self, now: float) -> None:
        try:
            leases = self._ledger.run(calls.tick(leases=True)).leases
            for uid, lease in self._observer.observe(leases, now):
                if self._ledger.run(calls.reclaim(uid, lease)):
                    logger.warning("run %s: its worker stopped renewing; reclaimed", uid)
        except KeleryError as error:
            self._observer.forget()
            logger.warning("cannot reach the ledger: %s", error)

    def _attend_all(self) -> float | None:
        """Look after each run; the seconds after which to look again at those that could not be finished
        with.
        """
        now = time.monotonic()
        for uid in list(self._runs):
            with self._lock:
                self._attend(uid, self._runs[uid], now)
        again: list[float] = []
        for uid, stopped in list(self._stopped.items()):
            wait = self._finish(stopped)
            if wait is None:
                stopped.close()
                del self._stopped[uid]
                continue
            again.append(wait)
            if wait == UNAVAILABLE_AGAIN_SECONDS:
                # Each further try would cost its own time-out, and the clocks of the other runs go on.
                break
        return min(again, default=None)

    def _attend(self, uid: str, run: LiveRun, now: float) -> None:
        if run.pid is not None and run.pidfd is None and not processes.is_alive(run.pid):
            run.dead = True
        run.look(now=now, lease=self._lease)
        step = run.next_step(now=now)
        if step in (Step.TERMINATE, Step.KILL):
            self._signal(run, kill=step is Step.KILL)
        elif step in (Step.SETTLE, Step.HAND_BACK):
            self._stopped[uid] = StoppedRun(run=self._runs.pop(uid), nonce=self.nonce, step=step)

    def _signal(self, run: LiveRun, *, kill: bool) -> None:
        assert run.pid is not None
        if run.stop is Stop.TIMEOUT:
            run.request.timed_out_after = run.time_limit
        # Seen while the child lives; once it is dead, its children are somebody else's.
        run.descendants |= processes.below(run.pid)
        send_signal(self._pool, run.pid, kill=kill)
        run.terminated, run.killed = True, run.killed or kill
        logger.info("run %s: sent %s (%s)", run.claim.uid, "SIGKILL" if kill else "SIGTERM", run.stop)

    def _finish(self, stopped: StoppedRun) -> float | None:
        """Settle a run whose body no longer executes; None when there is nothing left to do about it."""
        run = stopped.run
        left = stopped.remaining()
        if left:
            processes.kill_all(left)
            return AGAIN_SECONDS
        if run.stop is Stop.FENCED:
            return None
        try:
            if stopped.step is Step.HAND_BACK:
                if not self._ledger.run(calls.handback(run.claim.uid, run.claim.fence)):
                    self._keep(run)
            else:
                self._ledger.run(calls.settle(run.claim.uid, run.claim.fence, stopped.outcome()))
        except LedgerError as error:
            logger.warning("run %s: cannot settle it yet: %s", run.claim.uid, error)
            return UNAVAILABLE_AGAIN_SECONDS
        return None

    def _keep(self, run: LiveRun) -> None:
        """It could not be handed back: a child has begun with it after all, or it is no longer ours (a
        renewal will tell).
        """
        with self._lock:
            run.undispatched, run.claimed_at = False, time.monotonic()
            self._runs[run.claim.uid] = run
