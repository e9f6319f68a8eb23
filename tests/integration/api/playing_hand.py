"""A worker played by hand on a ledger that comes and goes."""

from __future__ import annotations

import time
from typing import TypeVar

from kelery.errors import LedgerUnavailable
from kelery.ledger import calls, sync
from kelery.ledger.calls import Call
from kelery.ledger.messages import Claim, Outcome
from kelery.model import CancelMode
from kelery.phases import Reason
from tests.contract.ledger.bench import SUCCEEDED, WORKER, Bench, failed

T = TypeVar("T")

PROGRESSES = 3


class Hand:
    """Plays a worker that repeats what it says until the ledger has heard it."""

    def __init__(self, url: str) -> None:
        self._client = sync.connect(url, timeout_seconds=2, client_name="played")
        self.bench = Bench(sync.Ledger(self._client, prefix="kelery"))

    def say(self, call: Call[T], *, seconds: float = 30) -> T:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.bench.ledger.run(call)
            except LedgerUnavailable:
                assert time.monotonic() < deadline, "the ledger is away for too long"
                time.sleep(0.02)

    def play(self, uids: list[str]) -> None:
        """All of these runs from their claim to their end, each in one of several ways."""
        for number, uid in enumerate(uids):
            fence = self.claim(uid, attempt=1)
            self.tell_progress(uid, fence)
            if number % 4 == 1:
                self.say(calls.settle(uid, fence, Outcome(kind="retry", reason=Reason.RETRIED)))
                fence = self.claim(uid, attempt=2)
                self.tell_progress(uid, fence)
            if number % 4 == 2:
                self.say(calls.cancel(uid, CancelMode.GRACEFUL, Reason.CANCELLED_BY_USER))
            self.say(calls.settle(uid, fence, failed() if number % 4 == 3 else SUCCEEDED))
            time.sleep(0.04)
        self._client.close()

    def claim(self, uid: str, *, attempt: int) -> int:
        deadline = time.monotonic() + 30
        while True:
            answer = self.say(calls.claim(uid, attempt=attempt, worker=WORKER, nonce=uid))
            if isinstance(answer, Claim):
                return answer.fence
            assert time.monotonic() < deadline, f"{uid}: {answer}"
            self.say(calls.tick(leases=False))

    def tell_progress(self, uid: str, fence: int) -> None:
        for current in range(PROGRESSES):
            self.say(calls.progress(uid, fence, f'{{"current":{current},"total":{PROGRESSES}}}'))
