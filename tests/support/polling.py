"""Waits for a condition, with a deadline. The failure's message has the last state."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def poll_until(
    look: Callable[[], T],
    *,
    seconds: float,
    what: str,
    state: Callable[[], object] | None = None,
    every: float = 0.01,
) -> T:
    """The first true result of `look`. Fails after `seconds`, with the last state in the message."""
    until = time.monotonic() + seconds
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > until:
            last = state() if state is not None else answer
            raise AssertionError(f"waited {seconds} s in vain for {what}; the last state: {last}")
        time.sleep(every)
