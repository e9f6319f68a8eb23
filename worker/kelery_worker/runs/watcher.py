"""The watcher: a thread that stops runs, detects dead processes and kills what they left.

It never talks to Redis and never waits for a log, so a run whose lease expires is killed by this thread's
clock alone.

Invariants
  - a run is signalled only under the table's lock and only before its child has returned it, so a child that
    has taken the next job is never hit;
  - a stopped run has ended only when its process and all its subprocesses are dead (A2, A7).
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kelery.settings import Lease
from kelery_worker.relayed_log import logger
from kelery_worker.runs import ended_run, processes
from kelery_worker.runs.live_run import LiveRun, Step, Stop
from kelery_worker.runs.pool_signals import send_signal
from kelery_worker.runs.run_table import RunTable
from kelery_worker.runs.wakeup import Wakeup

#: The longest time between two checks, in case a wake-up gets lost.
LOOK_SECONDS = 0.5
#: The time until a run is first checked after a child has taken it; most runs have ended by then.
SOON_SECONDS = 0.1
_SWEEP_FIRST, _SWEEP_LONGEST = 0.05, 1.0


class Watcher:
    """Watches the runs of one worker; calls `on_ended` when a run has `ended` set."""

    def __init__(
        self, table: RunTable, *, pool: Any, lease: Lease, worker_nonce: str, on_ended: Callable[[], None]
    ) -> None:
        self._table = table
        self._pool = pool
        self._lease = lease
        self._worker_nonce = worker_nonce
        self._on_ended = on_ended
        self._wakeup = Wakeup()
        self._stopping = False
        #: The next check if nothing wakes the thread, on the monotonic clock; infinite during a check.
        self._looks_at = float("inf")
        #: A child has taken a run since the last check.
        self._is_busy = False
        #: Seconds until the next check of the processes that a run has left.
        self._sweeps: dict[tuple[str, int], float] = {}
        self._thread = threading.Thread(target=self._run, name="kelery-watcher", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def wake(self) -> None:
        """A run has changed; check now."""
        self._wakeup.wake()

    def look_soon(self) -> None:
        """A child has taken a run; wake the thread only if its next check is later than SOON_SECONDS."""
        self._is_busy = True
        if self._looks_at > time.monotonic() + SOON_SECONDS:
            self._wakeup.wake()

    def returned(self, run: LiveRun, error: BaseException | None) -> None:
        """The child returned the run. A run that was not stopped has ended; else processes may be left."""
        with self._table.lock:
            self._table.update(run, returned=True, error=error, returned_ticks=processes.ticks_now())
            is_over = run.stop is None and not run.dead and self._table.update(run, ended=Step.SETTLE)
        if is_over:
            self._on_ended()
        else:
            self._wakeup.wake()

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self._wakeup.wake()

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._sleep(self._round())
            except Exception:
                # All other runs depend on this thread.
                logger.exception("unexpected error in the watcher; continuing")
                time.sleep(_SWEEP_FIRST)

    def _round(self) -> float:
        """Check each run; returns the seconds until the next check."""
        pause = SOON_SECONDS if self._is_busy else LOOK_SECONDS
        self._is_busy = False
        for run in self._table.all():
            now = time.monotonic()
            with self._table.lock:
                step = self._attend(run, now)
                due = run.due(lease=self._lease) if run.ended is None else None
            if step is not None:
                pause = min(pause, self._end(run, step))
            elif due is not None:
                pause = min(pause, due - now)
        return max(0.0, pause)

    def _attend(self, run: LiveRun, now: float) -> Step | None:
        """Signal the run if it is due; SETTLE or HAND_BACK if its task no longer executes."""
        if run.ended is not None:
            return None
        if run.pid is not None and run.pidfd is None and not processes.is_alive(run.pid):
            run.dead = True
        run.look(now=now, lease=self._lease)
        step = run.next_step(now=now)
        if step in (Step.TERMINATE, Step.KILL):
            self._signal(run, kill=step is Step.KILL, now=now)
        return step if step in (Step.SETTLE, Step.HAND_BACK) else None

    def _signal(self, run: LiveRun, *, kill: bool, now: float) -> None:
        assert run.pid is not None
        if run.stop is Stop.TIMEOUT:
            run.request.timed_out_after = run.time_limit
        # Recorded while the child lives; after its death its children have another parent.
        run.descendants |= processes.below(run.pid, since=run.accepted_ticks)
        send_signal(self._pool, run.pid, pidfd=run.pidfd, kill=kill)
        run.terminated = True
        if kill:
            run.killed_at = now
        cause = run.stop.value if run.stop else "unknown"
        logger.info("run %s: sent %s (cause: %s)", run.claim.uid, "SIGKILL" if kill else "SIGTERM", cause)

    def _end(self, run: LiveRun, step: Step) -> float:
        """Kill the processes that are left; returns the seconds until the next check."""
        left = ended_run.remaining(run, step=step, worker_nonce=self._worker_nonce)
        if not left:
            self._sweeps.pop(run.key, None)
            self._table.update(run, ended=step)
            self._on_ended()
            return LOOK_SECONDS
        processes.kill_all(left)
        pause = self._sweeps.get(run.key, _SWEEP_FIRST)
        self._sweeps[run.key] = min(pause * 2, _SWEEP_LONGEST)
        if pause == _SWEEP_LONGEST:
            logger.warning("run %s: its processes do not end after SIGKILL: %s", run.claim.uid, sorted(left))
        return pause

    def _sleep(self, seconds: float) -> None:
        with self._table.lock:
            watched = {
                run.pidfd: run
                for run in self._table.all()
                if run.pidfd is not None and not run.dead and run.ended is None
            }
        poll = select.poll()
        poll.register(self._wakeup.fileno(), select.POLLIN)
        for fd in watched:
            poll.register(fd, select.POLLIN)
        self._looks_at = time.monotonic() + seconds
        try:
            ready = {fd for fd, _ in poll.poll(seconds * 1000 + 1)}
        finally:
            self._looks_at = float("inf")
        self._wakeup.clear()
        for fd in ready & watched.keys():
            self._table.update(watched[fd], dead=True)


def take_pid(table: RunTable, run: LiveRun, pid: int) -> None:
    """Record that pool child `pid` has taken the run."""
    if pid == os.getpid():
        # The pool reports its own pid for a job that no child has taken.
        return
    with table.lock:
        if run.pid == pid:
            return
        pidfd, former = processes.open_pidfd(pid), run.pidfd
        known = table.update(
            run, pid=pid, pidfd=pidfd, accepted_at=time.monotonic(), accepted_ticks=processes.ticks_now()
        )
    let_go(former if known else pidfd)


def let_go(pidfd: int | None) -> None:
    """Close the descriptor, if there is one."""
    if pidfd is not None:
        with suppress(OSError):
            os.close(pidfd)
