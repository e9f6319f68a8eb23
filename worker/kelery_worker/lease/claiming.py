"""Claims runs in the main thread; the answer of the ledger may get lost.

Invariant: a granted claim whose answer was lost is handed back; it never started.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Set
from contextlib import suppress

from kelery.errors import LedgerError, LedgerUnavailable
from kelery.ledger import commands, sync_client
from kelery.ledger.types import Claim, ClaimRefused
from kelery.run.phases import Reason
from kelery.run.run_message import Tag
from kelery_worker.runs import outcomes

logger = logging.getLogger("kelery.worker")

_TRIES = 3


class Claiming:
    """The claims of one worker, which the ledger knows as `identity`."""

    def __init__(self, ledger: sync_client.Ledger, *, identity: str) -> None:
        self._ledger = ledger
        self._identity = identity
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._orphans: set[tuple[str, int]] = set()

    def ask(self, tag: Tag) -> Claim | None:
        """Claim the attempt in `tag`; None if there is nothing to start.

        Call `answered` once the claim is stored: until then it does not count as an orphan.
        """
        with self._lock:
            self._asked.add(tag.uid)
        # With the same nonce, a repeated call returns the same claim.
        nonce = secrets.token_hex(4)
        call = commands.claim(tag.uid, attempt=tag.attempt, worker=self._identity, nonce=nonce, push=tag.push)
        for _ in range(_TRIES):
            try:
                answer = self._ledger.run(call)
            except LedgerUnavailable as error:
                logger.warning("run %s: the claim failed: %s", tag.uid, error)
                continue
            if isinstance(answer, ClaimRefused):
                level = logging.WARNING if answer.why == "gone" else logging.DEBUG
                logger.log(level, "run %s: nothing to start (%s)", tag.uid, answer.why)
                return None
            return answer
        return None

    def answered(self, uid: str) -> None:
        """The claim on `uid` is stored, or was not granted."""
        with self._lock:
            self._asked.discard(uid)

    def refuse(self, tag: Tag, reason: Reason, message: str) -> None:
        """End a run that this worker cannot execute."""
        try:
            claim = self.ask(tag)
            if claim is not None:
                outcome = outcomes.failed(reason, type_name=reason.value, message=message)
                with suppress(LedgerError):
                    self._ledger.run(commands.settle(claim.uid, claim.fence, outcome))
        finally:
            self.answered(tag.uid)

    def hand_back(self, uid: str, fence: int) -> None:
        """Hand back a claim that did not start; if Redis does not answer, it becomes an orphan."""
        with suppress(LedgerError):
            self._ledger.run(commands.handback(uid, fence))

    def take_orphans(self, named: Set[tuple[str, int]], *, ours: Set[str]) -> None:
        """Hand back claims that the ledger lists for this worker but that it does not have, on the second
        report.
        """
        with self._lock:
            known = ours | self._asked
        unknown = {(uid, fence) for uid, fence in named if uid not in known}
        for uid, fence in unknown & self._orphans:
            logger.warning("run %s: claimed but never started; handing it back", uid)
            self.hand_back(uid, fence)
        self._orphans = unknown
