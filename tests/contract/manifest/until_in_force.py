"""Waiting for what the API server does not do at once: policies, labels and roles take a moment."""

import time
from collections.abc import Callable

from kelery.kube.answer import Answer

_SECONDS = 30.0


def ask_until(ask: Callable[[], Answer], *, status: int) -> Answer:
    """Ask until the answer has this status; the last answer is told if it never has."""
    deadline = time.monotonic() + _SECONDS
    while True:
        answer = ask()
        if answer.status == status:
            return answer
        assert time.monotonic() < deadline, f"still {answer.status}, not {status}: {answer.message}"
        time.sleep(0.05)
