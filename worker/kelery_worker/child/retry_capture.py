"""Celery's own retries of a run: the message that `self.retry` and `autoretry_for` would publish is kept
instead.

Celery would put an ETA message on the queue, to wait in some worker's memory while the slot is free for
others. The ledger keeps the slot and sends the message when it is due, on the run's own queue: a queue or a
priority given to `retry` has no effect. `max_retries` stays Celery's business; it decides whether `retry` is
reached at all.
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
    """The next attempt as the task asked for it."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    retries: int
    delay_seconds: float


#: Of the run that this pool child is executing; a child executes one at a time.
_captured: CapturedRetry | None = None


def take() -> CapturedRetry | None:
    """The retry that was asked for since the last call."""
    global _captured
    captured, _captured = _captured, None
    return captured


class _KeptRetry(Signature):
    """A signature whose publishing is kept."""

    # Publishes nothing, so it has nothing to answer.
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
    """Seconds until the retry that a task asked for is due; 0 if it is already."""
    if countdown is not None:
        return max(0.0, float(countdown))
    if eta is None:
        return 0.0
    # Without a zone it is in the app's, as Celery takes it.
    zone = eta.tzinfo or current_app.timezone
    return max(0.0, (eta.replace(tzinfo=zone) - datetime.datetime.now(zone)).total_seconds())


def install(task_class: Any) -> None:
    """Wrap the one function through which Celery makes the message of a retry."""
    original = task_class.signature_from_request

    def signature_from_request(self: Any, request: Any = None, *args: Any, **kwargs: Any) -> Any:
        signature = original(self, request, *args, **kwargs)
        current = self.request if request is None else request
        # Context keeps headers as attributes; this one's name is no identifier.
        if vars(current).get(run_message.HEADER) is None:
            return signature
        return _KeptRetry(signature)

    task_class.signature_from_request = signature_from_request
