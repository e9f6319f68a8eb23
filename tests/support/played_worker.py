"""A fake worker: takes messages off the queue, and claims and settles with the ledger's own calls."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass

from kelery.ledger import commands, sync_client
from kelery.ledger.types import Claim, ClaimRefused, Outcome
from kelery.run import run_message
from kelery.run.model import Record
from kelery.run.phases import Reason
from tests.support.polling import poll_until

NAME = "celery@played/boot-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that a worker reads from its queue."""

    uid: str
    attempt: int
    task: str


class PlayedWorker:
    """One worker on the queue `celery`."""

    def __init__(self, ledger: sync_client.Ledger) -> None:
        self.ledger = ledger
        self._nonces = 0
        self._claims: list[Claim] = []

    def next_message(self, *, seconds: float = 30) -> Message:
        """Wait for the next message."""
        message = poll_until(lambda: self.pop(seconds=1), seconds=seconds, what="a message")
        assert message is not None
        return message

    def pop(self, *, seconds: float) -> Message | None:
        """The next message, or None if none comes in time."""
        reply = self.ledger.client.execute_command("BRPOP", "celery", seconds)
        return None if reply is None else _read(reply[1])

    def messages_waiting(self) -> int:
        return int(self.ledger.client.execute_command("LLEN", "celery"))

    def unacknowledged(self) -> list[str]:
        """Final runs whose last status is not acknowledged, for any cluster id."""
        return self._uids("final")

    def claim(self, message: Message) -> Claim | ClaimRefused:
        self._nonces += 1
        answer = self.ledger.run(
            commands.claim(message.uid, attempt=message.attempt, worker=NAME, nonce=str(self._nonces))
        )
        if isinstance(answer, Claim):
            self._claims.append(answer)
        return answer

    def start_next(self) -> Claim:
        """Take the next message and claim its run."""
        claim = self.claim(self.next_message())
        assert isinstance(claim, Claim), claim
        return claim

    def succeed(self, claim: Claim, result: object = 3) -> None:
        outcome = Outcome(kind="succeeded", result_json=json.dumps(result))
        assert self.ledger.run(commands.settle(claim.uid, claim.fence, outcome)).verdict == "ok"

    def fail(self, claim: Claim, *, message: str = "broken") -> None:
        assert self._fail(claim, message=message) == "ok"

    def end_all(self) -> None:
        """End all runs, for the next test of a shared operator. All TaskRuns must be deleted before."""
        for claim in self._claims:
            self._fail(claim, message="the test is over")
        poll_until(
            lambda: not self._uids("live") and not self.unacknowledged(),
            seconds=60,
            what="the operator to end all runs",
            state=lambda: [self.record(uid) for uid in self._uids("live")],
        )
        self.ledger.client.delete("celery")

    def progress(self, claim: Claim, current: int, total: int) -> None:
        said = json.dumps({"current": current, "total": total, "message": ""})
        assert self.ledger.run(commands.progress(claim.uid, claim.fence, said))

    def record(self, uid: str) -> Record | None:
        return self.ledger.run(commands.view([uid], inline_bytes=32768))[0]

    def wait_for_record(self, uid: str, *, seconds: float = 30, **fields: object) -> Record:
        """Wait until the record has these fields, and return it."""

        def look() -> Record | None:
            record = self.record(uid)
            good = record and all(getattr(record, name) == value for name, value in fields.items())
            return record if good else None

        found = poll_until(look, seconds=seconds, what=f"{uid}: {fields}", state=lambda: self.record(uid))
        assert found is not None
        return found

    def _fail(self, claim: Claim, *, message: str) -> str:
        error = json.dumps({"type": "ValueError", "message": message, "traceback": "Traceback ..."})
        outcome = Outcome(kind="failed", reason=Reason.TASK_ERROR, error_json=error, error_type="ValueError")
        return self.ledger.run(commands.settle(claim.uid, claim.fence, outcome)).verdict

    def _uids(self, kind: str) -> list[str]:
        """The uids in one of the ledger's sets, for any cluster id."""
        names = list(self.ledger.client.scan_iter(f"kelery:{kind}:*"))
        return [uid for name in names for uid in self.ledger.client.smembers(name)]


class BusyWorker:
    """Runs every message immediately, in a thread, until stopped."""

    def __init__(self, url: str) -> None:
        self._client = sync_client.connect(url, timeout_seconds=10, client_name="busy")
        self._worker = PlayedWorker(sync_client.Ledger(self._client, prefix="kelery"))
        self._stop = threading.Event()
        self.order: list[str] = []
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> BusyWorker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)
        self._client.close()

    def _work(self) -> None:
        while not self._stop.is_set():
            message = self._worker.pop(seconds=0.5)
            claim = self._worker.claim(message) if message else None
            if isinstance(claim, Claim):
                self.order.append(claim.uid)
                self._worker.succeed(claim)


def _read(raw: str) -> Message:
    content = json.loads(raw)
    tag = run_message.read_tag(content["properties"]["delivery_tag"])
    assert tag is not None, content["properties"]
    return Message(uid=tag.uid, attempt=tag.attempt, task=content["headers"][run_message.TASK_HEADER])
