"""Runs that are submitted directly to a ledger, without operator and gateway."""

from __future__ import annotations

import dataclasses
import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kelery.errors import LedgerError
from kelery.ledger import commands, sync_client
from kelery.ledger.types import Submission
from kelery.run.model import CancelMode, Concurrency, RunSpec
from kelery.run.phases import Reason
from kelery.settings import LedgerSettings
from kelery.taskrun.resource import Identity
from kelery.taskrun.submission import submission_of
from kelery_dev.errors import DevError

NAMESPACE = "bench"
#: A queue without workers: a run that is admitted there holds its key until it is cancelled or claimed here.
NOBODY = "bench-nobody"
_KEPT_SECONDS = 24 * 3600
_BATCH = 500
_SECONDS = 60.0
_LOOK_SECONDS = 0.01


class LedgerRuns:
    """Submits runs to one ledger and reads them. Like the gateway's runs, they belong to no cluster."""

    def __init__(self, ledger: sync_client.Ledger, settings: LedgerSettings) -> None:
        self.ledger = ledger
        self._settings = settings
        # Ids as long as real ones; they only have to be unique.
        self._start = uuid.uuid4().int
        self._numbers = itertools.count()

    def submission(self, *, key: str, queue: str = NOBODY, priority: int = 0, **spec: Any) -> Submission:
        """A new run."""
        uid = str(uuid.UUID(int=(self._start + next(self._numbers)) % 2**128))
        fields = {"task": "bench.noop", **spec}
        asked = RunSpec(queue=queue, priority=priority, concurrency=Concurrency(key=key), **fields)
        who = Identity(uid=uid, namespace=NAMESPACE, name=uid)
        made = submission_of(asked, who=who, cluster="", settings=self._settings)
        return dataclasses.replace(made, origin="REST", retain_seconds=_KEPT_SECONDS)

    def submit(self, submissions: Sequence[Submission]) -> None:
        """Submit all in order, in few round trips."""
        for start in range(0, len(submissions), _BATCH):
            batch = [commands.submit(submission) for submission in submissions[start : start + _BATCH]]
            for answer in self.ledger.run_all(batch):
                if isinstance(answer, LedgerError):
                    raise answer

    def cancel(self, uid: str) -> None:
        """Cancel a run that no worker has: it ends at once, and the next of its key is admitted."""
        self.ledger.run(commands.cancel(uid, CancelMode.GRACEFUL, Reason.CANCELLED_BY_USER))

    def wait_until(self, uid: str, *, phase: str) -> None:
        """Poll until the run is in this phase."""
        key = f"{self.ledger.prefix}:run:{uid}"
        _poll(lambda: self.ledger.client.hget(key, "phase") == phase, what=f"run {uid} to be {phase}")

    def waiting(self, key: str) -> int:
        """The number of runs that wait for the key."""
        return int(self.ledger.client.zcard(f"{self.ledger.prefix}:wait:{NAMESPACE}/{key}"))


@contextmanager
def ledger_runs(url: str) -> Iterator[LedgerRuns]:
    """The runs of the ledger in the Redis at `url`."""
    settings = LedgerSettings(redis_url=url)
    with sync_client.connect(url, timeout_seconds=_SECONDS, client_name="kelery-bench") as client:
        ledger = sync_client.Ledger(client, prefix=settings.prefix)
        ledger.load_library()
        yield LedgerRuns(ledger, settings)


def _poll(is_so: Callable[[], bool], *, what: str) -> None:
    deadline = time.monotonic() + _SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise DevError(f"waited {_SECONDS:g} s for {what}")
        time.sleep(_LOOK_SECONDS)
