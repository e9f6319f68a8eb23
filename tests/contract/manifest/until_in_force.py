"""Waits for changes that the API server applies with a delay: policies, labels and roles."""

import time
from collections.abc import Callable

from kelery.kube.answer import Answer

_SECONDS = 30.0


def ask_until(ask: Callable[[], Answer], *, status: int) -> Answer:
    """Ask until the answer has this status. A failure shows the last answer."""
    deadline = time.monotonic() + _SECONDS
    while True:
        answer = ask()
        if answer.status == status:
            return answer
        assert time.monotonic() < deadline, f"still {answer.status}, not {status}: {answer.message}"
        time.sleep(0.05)
