"""A service of the stack: its command, how one sees that it is ready, and how it is stopped."""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from kelery_dev.supervise.child_process import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class StopStep:
    """One way of asking a service to end, and how long to wait for it."""

    signal: signal.Signals
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One process that the supervisor keeps up.

    It is ready when `is_ready` says so or, without one, when it prints a line that contains `ready_line`.
    The stack does not come up without its `essential` services; it goes on without the others, which are
    tried again. The output of a `talkative` service goes to the screen, that of the others only to their log.
    """

    command: Command
    ready_seconds: float
    stop_steps: tuple[StopStep, ...]
    #: How it is stopped to be started again at once; none means like any stop.
    reload_steps: tuple[StopStep, ...] = ()
    is_ready: Callable[[], bool] | None = None
    ready_line: str = ""
    essential: bool = False
    talkative: bool = False
    where: str = ""

    @property
    def name(self) -> str:
        return self.command.name


def terminate(seconds: float) -> tuple[StopStep, ...]:
    """The usual way: SIGTERM, and after so many seconds the supervisor's SIGKILL."""
    return (StopStep(signal=signal.SIGTERM, seconds=seconds),)


def describe_exit(code: int) -> str:
    """An exit code in a person's words; negative ones are signals."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
