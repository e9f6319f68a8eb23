"""A service of the stack: its command, its readiness, and its stop steps."""

import signal
from collections.abc import Callable
from dataclasses import dataclass

from kelery_dev.supervise.child_process import Command


@dataclass(frozen=True, slots=True, kw_only=True)
class StopStep:
    """A signal that asks a service to end, and the seconds to wait for it."""

    signal: signal.Signals
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One process that the supervisor keeps running.

    It is ready when `is_ready` returns True or, without it, when it prints a line that contains `ready_line`.
    The stack does not start without its `essential` services; it continues without the others, which are
    restarted. The output of a `talkative` service goes to the screen, that of the others only to its log.
    """

    command: Command
    ready_seconds: float
    stop_steps: tuple[StopStep, ...]
    #: The stop steps before an immediate restart; empty means `stop_steps`.
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
    """The usual steps: SIGTERM, and after `seconds` the supervisor's SIGKILL."""
    return (StopStep(signal=signal.SIGTERM, seconds=seconds),)


def describe_exit(code: int) -> str:
    """An exit code as text; negative codes are signals."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
