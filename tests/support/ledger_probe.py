"""Direct access to the ledger for tests: submits runs as operator and gateway do, and follows them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from kelery.ledger import commands, sync_client
from kelery.ledger.lease_observer import LeaseObserver
from kelery.ledger.types import Submission
from kelery.run import run_message
from kelery.run.model import CancelMode, Concurrency, Record, RunSpec
from kelery.run.phases import Phase, Reason
from tests.support.polling import poll_until

PREFIX = "kelery"


class LedgerProbe:
    """Uses the ledger directly, so that worker tests need neither API server nor operator."""

    def __init__(self, url: str) -> None:
        self.client = sync_client.connect(url, timeout_seconds=5, client_name="test")
        self.ledger = sync_client.Ledger(self.client, prefix=PREFIX)
        self._submitted: list[str] = []

    def submit(self, task: str, *args: Any, key: str | None = None, limit: int = 1, **spec: Any) -> str:
        """Submit a new run; its uid."""
        uid = str(uuid.uuid4())
        self._submitted.append(uid)
        concurrency = Concurrency(key=key, limit=limit) if key else None
        kwargs = spec.pop("kwargs", {})
        wanted = RunSpec(task=task, args=args, kwargs=kwargs, concurrency=concurrency, **spec)
        message = run_message.make(uid=uid, task=task, args=args, kwargs=kwargs, queue="celery")
        self.ledger.run(
            commands.submit(
                Submission(
                    uid=uid,
                    cluster="test",
                    namespace="default",
                    name=uid[:8],
                    origin="TaskRun",
                    spec=wanted,
                    spec_json="{}",
                    spec_hash="test",
                    queue="celery",
                    queue_key="celery",
                    run_message=message,
                )
            )
        )
        return uid

    def record(self, uid: str) -> Record:
        """The run's record."""
        record = self.ledger.run(commands.view([uid], inline_bytes=32768))[0]
        assert record is not None
        return record

    def result(self, uid: str) -> Any:
        """The run's complete result."""
        text = self.ledger.run(commands.whole_result(uid))
        return None if text is None else json.loads(text)

    def error(self, uid: str) -> dict[str, str]:
        """The run's error."""
        shown: dict[str, str] = json.loads(self.record(uid).error_json)
        return shown

    def wait_for(
        self, uid: str, *phases: Phase, seconds: float = 20, tick: Callable[[], None] | None = None
    ) -> Record:
        """Wait until the run is in one of `phases` (default: any final phase)."""

        def look() -> Record | None:
            if tick is not None:
                tick()
            record = self.record(uid)
            reached = record.phase in phases if phases else record.phase.is_final
            return record if reached else None

        wanted = "/".join(phase.value for phase in phases) or "its end"
        found = poll_until(look, seconds=seconds, what=f"{uid}: {wanted}", state=lambda: self.record(uid))
        assert found is not None
        return found

    def cancel(self, uid: str, mode: CancelMode = CancelMode.GRACEFUL) -> None:
        """Cancel, as `spec.cancel` does."""
        self.ledger.run(commands.cancel(uid, mode, Reason.CANCELLED_BY_USER))

    def end_all(self) -> None:
        """End all runs of a test, because other tests use the same worker."""
        for uid in self._submitted:
            if not self.record(uid).phase.is_final:
                self.cancel(uid, CancelMode.FORCE)
        for uid in self._submitted:
            self.wait_for(uid)

    def ticker(self, *, stand_still: float) -> Callable[[], None]:
        """An observer, like operator and gateway. It acts at most every 0.2 s."""
        observer, last = LeaseObserver(stand_still=stand_still), [0.0]

        def tick() -> None:
            now = time.monotonic()
            if now - last[0] < 0.2:
                return
            last[0] = now
            for uid, lease in observer.observe(self.ledger.run(commands.tick(leases=True)).leases, now):
                self.ledger.run(commands.reclaim(uid, lease))

        return tick

    def nothing_is_held(self) -> bool:
        """Whether no slot, lease or claim is left."""
        left = [*self.client.scan_iter(f"{PREFIX}:hold:*"), *self.client.scan_iter(f"{PREFIX}:claims:*")]
        return not left and not self.client.exists(f"{PREFIX}:leases")

    def nothing_is_open(self) -> bool:
        """Whether all runs have ended, and the last status of each is acknowledged."""
        left = [*self.client.scan_iter(f"{PREFIX}:live:*"), *self.client.scan_iter(f"{PREFIX}:final:*")]
        return not left
