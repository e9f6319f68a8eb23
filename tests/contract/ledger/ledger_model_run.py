"""One run of the model, and the messages that announce runs: data, and values derived from it."""

from __future__ import annotations

from dataclasses import dataclass, field

from kelery.ledger.types import Outcome, Submission
from kelery.run.model import Retry
from kelery.run.phases import Phase, Reason
from kelery.run.run_message import RunMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The content of a run message: which half-made message it is, and for which attempt of which run."""

    head: str
    uid: str
    attempt: int


@dataclass(slots=True, kw_only=True)
class ModelRun:
    """One run, with the fields that the guarantees cover."""

    submission: Submission
    arrival: int
    run_message: RunMessage
    phase: Phase = Phase.WAITING
    reason: str = Reason.WAITING_FOR_KEY.value
    admitted: int = 0
    attempt: int = 1
    retries_used: int = 0
    backoff_seconds: float = 0
    fence: int = 0
    worker: str = ""
    nonce: str = ""
    renewals: int = 0
    cancel: str = ""
    cancel_reason: str = ""
    cancel_message: str = ""
    deleted: bool = False
    staged: Outcome | None = None
    result: str = ""
    attempts: list[tuple[int, str, int, str]] = field(default_factory=list)
    #: The claim under which its body was allowed to begin.
    begun_fence: int = 0
    ever_claimed: bool = False
    purge_scheduled: bool = False

    @property
    def uid(self) -> str:
        return self.submission.uid

    @property
    def key(self) -> str:
        concurrency = self.submission.spec.concurrency
        return f"{self.submission.namespace}/{concurrency.key}" if concurrency else ""

    @property
    def limit(self) -> int:
        concurrency = self.submission.spec.concurrency
        return concurrency.limit if concurrency else 1

    @property
    def retry(self) -> Retry:
        return self.submission.spec.retry or Retry()

    @property
    def waits_for_worker(self) -> bool:
        return self.phase is Phase.ADMITTED and self.reason == Reason.WAITING_FOR_WORKER

    @property
    def backs_off(self) -> bool:
        return self.phase is Phase.ADMITTED and self.reason == Reason.RETRY_BACKOFF

    @property
    def is_stripped(self) -> bool:
        """Deleted and really ended: only its existence is left. A TaskRun waits for its last status."""
        return self.deleted and self.phase.is_final and self.submission.origin != "TaskRun"

    @property
    def lease(self) -> str:
        return f"{self.fence}:{self.renewals}"

    def timers(self) -> set[str]:
        """The timers that the ledger has for the run."""
        concurrency = self.submission.spec.concurrency
        limited = concurrency is not None and concurrency.max_queue_seconds is not None
        wanted = {
            "queue": limited and not self.ever_claimed and not self.phase.is_final,
            "retry": self.backs_off,
            "redispatch": self.waits_for_worker,
            "purge": self.purge_scheduled,
        }
        return {f"{kind}|{self.uid}" for kind, wants in wanted.items() if wants}
