"""A simulated worker on a ledger with outages."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from kelery.errors import LedgerUnavailable
from kelery.ledger import commands, sync_client
from kelery.ledger.commands import Call
from kelery.ledger.types import Claim, Outcome
from kelery.run.model import CancelMode
from kelery.run.phases import Reason
from tests.support.ledger_bench import SUCCEEDED, WORKER, Bench, failed

T = TypeVar("T")

PROGRESSES = 3


class Hand:
    """Simulates a worker that repeats each call until the ledger responds."""

    def __init__(self, url: str) -> None:
        self._client = sync_client.connect(url, timeout_seconds=2, client_name="played")
        self.bench = Bench(sync_client.Ledger(self._client, prefix="kelery"))

    def say(self, call: Call[T], *, seconds: float = 30) -> T:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.bench.ledger.run(call)
            except LedgerUnavailable:
                assert time.monotonic() < deadline, "the ledger is unavailable for too long"
                time.sleep(0.02)

    def play(self, uids: list[str], *, is_enough: Callable[[], bool]) -> None:
        """Play all of these runs from their claim to their end, each in one of several ways.

        The last one reports progress until `is_enough` is true.
        """
        for number, uid in enumerate(uids):
            fence = self.claim(uid, attempt=1)
            self.tell_progress(uid, fence)
            if uid == uids[-1]:
                self.play_on(uid, fence, is_enough=is_enough)
            if number % 4 == 1:
                self.say(commands.settle(uid, fence, Outcome(kind="retry", reason=Reason.RETRIED)))
                fence = self.claim(uid, attempt=2)
                self.tell_progress(uid, fence)
            if number % 4 == 2:
                self.say(commands.cancel(uid, CancelMode.GRACEFUL, Reason.CANCELLED_BY_USER))
            self.say(commands.settle(uid, fence, failed() if number % 4 == 3 else SUCCEEDED))
            time.sleep(0.04)
        self._client.close()

    def play_on(self, uid: str, fence: int, *, is_enough: Callable[[], bool]) -> None:
        """Report progress until `is_enough` is true."""
        deadline = time.monotonic() + 60
        while not is_enough():
            assert time.monotonic() < deadline, "it was not enough after 60 s"
            self.tell_progress(uid, fence)
            time.sleep(0.04)

    def claim(self, uid: str, *, attempt: int) -> int:
        deadline = time.monotonic() + 30
        while True:
            answer = self.say(commands.claim(uid, attempt=attempt, worker=WORKER, nonce=uid))
            if isinstance(answer, Claim):
                return answer.fence
            assert time.monotonic() < deadline, f"{uid}: {answer}"
            self.say(commands.tick(leases=False))

    def tell_progress(self, uid: str, fence: int) -> None:
        for current in range(PROGRESSES):
            self.say(commands.progress(uid, fence, f'{{"current":{current},"total":{PROGRESSES}}}'))
