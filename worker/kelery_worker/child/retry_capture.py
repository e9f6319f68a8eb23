"""Celery's own retries of a run: captures the message that `self.retry` and `autoretry_for` would publish.

Celery would publish an ETA message that waits in a worker's memory while the slot is free for others. Instead
the ledger keeps the slot and sends the message when it is due, on the run's own queue. So a queue or priority
given to `retry` has no effect. Celery itself enforces `max_retries`.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from celery import current_app
from celery.canvas import Signature

from kelery.run import run_message


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedRetry:
    """The next attempt that the task requested."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    retries: int
    delay_seconds: float


#: For the run that executes in this pool child, one at a time.
_captured: CapturedRetry | None = None


def take() -> CapturedRetry | None:
    """The retry that was requested since the last call, or None."""
    global _captured
    captured, _captured = _captured, None
    return captured


class _KeptRetry(Signature):
    """A signature that captures the retry instead of publishing it."""

    # Publishes nothing, so it returns nothing.
    def apply_async(self, *_: Any, **__: Any) -> None:  # type: ignore[override]
        global _captured
        options = self.options
        _captured = CapturedRetry(
            args=tuple(self.args or ()),
            kwargs=dict(self.kwargs or {}),
            retries=int(options.get("retries") or 0),
            delay_seconds=delay(options.get("countdown"), options.get("eta")),
        )


def delay(countdown: float | None, eta: datetime.datetime | None) -> float:
    """Seconds until a requested retry is due; 0 if it is due already."""
    if countdown is not None:
        return max(0.0, float(countdown))
    if eta is None:
        return 0.0
    # Without a zone it is in the app's zone, as in Celery.
    zone = eta.tzinfo or current_app.timezone
    return max(0.0, (eta.replace(tzinfo=zone) - datetime.datetime.now(zone)).total_seconds())


def install(task_class: Any) -> None:
    """Wrap the one function that creates the message of a retry."""
    original = task_class.signature_from_request

    def signature_from_request(self: Any, request: Any = None, *args: Any, **kwargs: Any) -> Any:
        signature = original(self, request, *args, **kwargs)
        current = self.request if request is None else request
        # Context keeps headers as attributes; this header's name is not an identifier.
        if vars(current).get(run_message.HEADER) is None:
            return signature
        return _KeptRetry(signature)

    task_class.signature_from_request = signature_from_request
