"""Short calls for tests of the real ledger: submit, claim, settle, look."""

import json
import time
from collections.abc import Callable
from itertools import count
from typing import Any, TypeVar

from kelery.ledger import commands
from kelery.ledger.sync_client import Ledger
from kelery.ledger.types import Claim, ClaimRefused, Outcome, Settled, Submission
from kelery.run import run_message
from kelery.run.model import CancelMode, Concurrency, Policy, Record, RunSpec
from kelery.run.phases import Phase, Reason
from kelery.settings import LedgerSettings
from kelery.taskrun.resource import Identity
from kelery.taskrun.submission import submission_of

T = TypeVar("T")

CLUSTER = "c1"
WORKER = "celery@host/boot-1"
QUEUE = "celery"
SETTINGS = LedgerSettings(redis_url="redis://unused", default_queue=QUEUE)
SUCCEEDED = Outcome(kind="succeeded", result_json="3")


def failed(reason: Reason = Reason.TASK_ERROR) -> Outcome:
    """The outcome of a failed attempt."""
    error = json.dumps({"type": "ValueError", "message": "no", "traceback": ""})
    return Outcome(kind="failed", reason=reason, error_json=error, error_type="ValueError")


def keyed(
    key: str = "k", *, limit: int = 1, policy: Policy = Policy.QUEUE, wait: int | None = None
) -> Concurrency:
    """A run's concurrency settings."""
    return Concurrency(key=key, limit=limit, policy=policy, max_queue_seconds=wait)


class Bench:
    """The ledger with short calls. The test chooses the uid of each run."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._nonces = count()

    def submission(self, uid: str, **spec: Any) -> Submission:
        """The submission of a TaskRun with this spec, as `submit` sends it."""
        who = Identity(uid=uid, namespace="team", name=f"run-{uid}")
        asked = RunSpec(**{"task": "demo.add", **spec})
        return submission_of(asked, who=who, cluster=CLUSTER, settings=SETTINGS)

    def submit(self, uid: str, **spec: Any) -> str:
        """Submit a run; its phase and reason after that: "Waiting/WaitingForKey"."""
        answer = self.ledger.run(commands.submit(self.submission(uid, **spec)))
        return f"{answer.phase.value}/{answer.reason}"

    def submit_all(self, uids: list[str], **spec: Any) -> None:
        """Submit many in a few round trips, in this order."""
        for start in range(0, len(uids), 500):
            batch = [commands.submit(self.submission(uid, **spec)) for uid in uids[start : start + 500]]
            assert all(not isinstance(answer, Exception) for answer in self.ledger.run_all(batch))

    def try_claim(
        self, uid: str, *, attempt: int = 1, worker: str = WORKER, nonce: str | None = None
    ) -> Claim | ClaimRefused:
        """Make a claim that may be refused. By default its nonce is new."""
        nonce = nonce or f"n{next(self._nonces)}"
        return self.ledger.run(commands.claim(uid, attempt=attempt, worker=worker, nonce=nonce))

    def claim_by_message(self, message: dict[str, Any]) -> Claim | ClaimRefused:
        """Claim as the worker that received this message."""
        tag, nonce = self._tag(message), f"n{next(self._nonces)}"
        return self.ledger.run(
            commands.claim(tag.uid, attempt=tag.attempt, worker=WORKER, nonce=nonce, push=tag.push)
        )

    def claim(self, uid: str, *, attempt: int = 1, worker: str = WORKER) -> int:
        """Make a claim that must be granted; its fence."""
        answer = self.try_claim(uid, attempt=attempt, worker=worker)
        assert isinstance(answer, Claim), answer
        return answer.fence

    def start(self, uid: str, **spec: Any) -> int:
        """Submit and claim a run; the fence."""
        self.submit(uid, **spec)
        return self.claim(uid)

    def settle(self, uid: str, fence: int, outcome: Outcome = SUCCEEDED) -> Settled:
        """End the attempt."""
        return self.ledger.run(commands.settle(uid, fence, outcome))

    def cancel(
        self, uid: str, mode: CancelMode = CancelMode.GRACEFUL, reason: Reason = Reason.CANCELLED_BY_USER
    ) -> bool:
        """Cancel the run; whether that changed anything."""
        return self.ledger.run(commands.cancel(uid, mode, reason)).changed

    def lease(self, uid: str) -> str:
        """The run's lease, as observers read it."""
        return self.ledger.run(commands.tick(leases=True)).leases[uid]

    def record(self, uid: str) -> Record:
        """The run's record, which must exist."""
        (record,) = self.ledger.run(commands.view([uid], inline_bytes=1024))
        assert record is not None, f"no record of {uid}"
        return record

    def state(self, uid: str) -> str:
        """The run's phase and reason: "Running/Started"."""
        record = self.record(uid)
        return f"{record.phase.value}/{record.reason}"

    def admitted(self, uids: list[str]) -> list[str]:
        """The runs that hold a slot."""
        records = self.ledger.run(commands.view(uids, inline_bytes=0))
        held = (Phase.ADMITTED, Phase.RUNNING, Phase.CANCELLING)
        return [record.uid for record in records if record is not None and record.phase in held]

    def pushed(self, queue: str = QUEUE) -> list[str]:
        """The run and attempt of each message in a queue, oldest first: "uid:1"."""
        return [f"{tag.uid}:{tag.attempt}" for tag in map(self._tag, self.messages(queue))]

    def messages(self, queue: str = QUEUE) -> list[dict[str, Any]]:
        """The messages in a queue as kombu reads them, oldest first."""
        return [json.loads(text) for text in reversed(self.ledger.client.lrange(queue, 0, -1))]

    def empty(self, queue: str = QUEUE) -> None:
        """Delete every message of a queue."""
        self.ledger.client.delete(queue)

    def make_due(self, kind: str, uid: str) -> None:
        """Make a timer due now. It must be set."""
        timers, member = f"{self.ledger.prefix}:timers", f"{kind}|{uid}"
        assert self.ledger.client.zscore(timers, member) is not None, f"{member} is not set"
        self.ledger.client.zadd(timers, {member: 0})

    def tick(self) -> int:
        """Tick once; the number of timers that acted."""
        return self.ledger.run(commands.tick(leases=False)).done

    def until(self, look: Callable[[], T], expected: T, *, seconds: float = 10) -> None:
        """Tick until `look` returns `expected`."""
        deadline = time.monotonic() + seconds
        while (seen := look()) != expected:
            assert time.monotonic() < deadline, f"still {seen!r} after {seconds} s, not {expected!r}"
            time.sleep(0.05)
            self.tick()

    @staticmethod
    def _tag(message: dict[str, Any]) -> run_message.Tag:
        tag = run_message.read_tag(message["properties"]["delivery_tag"])
        assert tag is not None, message
        return tag
