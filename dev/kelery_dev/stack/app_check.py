"""Checks the user's Celery app before anything starts: does it load, and what are its queues and tasks?

Operator and gateway must send runs without `spec.queue` to a queue that the app's worker consumes. An app
that cannot be loaded is reported at once, instead of by a worker that keeps dying.
"""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kelery_dev.errors import DevError
from kelery_dev.stack.start_task import OwnTask
from kelery_dev.supervise import die_with_parent
from kelery_dev.supervise.child_process import Command, signal_group, tail
from kelery_dev.supervise.service import describe_exit

_IMPORT_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFacts:
    """The queues and tasks of an app; the defaults are those of Celery."""

    default: str = "celery"
    #: The queues of a worker that is started without -Q.
    taken: tuple[str, ...] = ("celery",)
    #: `global_keyprefix` of the app's broker_transport_options.
    key_prefix: str = ""
    #: The app's own tasks, in their order.
    tasks: tuple[OwnTask, ...] = ()

    def control_plane_variables(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The variables for operator and gateway; a variable that the user has set stays unchanged."""
        ours = {"KELERY_DEFAULT_QUEUE": self.default, "KELERY_BROKER_KEY_PREFIX": self.key_prefix}
        return {name: value for name, value in ours.items() if value and not environ.get(name, "").strip()}

    def warning(self, *, chosen: str | None, environ: Mapping[str, str]) -> str:
        """A warning if the worker does not consume the queue of runs without spec.queue, else empty."""
        default = environ.get("KELERY_DEFAULT_QUEUE", "").strip() or self.default
        taken = [queue.strip() for queue in chosen.split(",")] if chosen else list(self.taken)
        if default in taken:
            return ""
        return (
            f"runs without spec.queue go to the queue {default!r}, which the worker does not consume;"
            f" it consumes {', '.join(taken)}. Set spec.queue, KELERY_DEFAULT_QUEUE or --queues"
        )


def app_facts(app: str, *, variables: Mapping[str, str]) -> AppFacts:
    """Load an app as the worker does, with `variables` added to the environment; DevError if it fails."""
    with tempfile.TemporaryDirectory(prefix="kelery-app-") as folder:
        answer, log = Path(folder) / "answer", Path(folder) / "log"
        argv = (sys.executable, "-m", "kelery_dev.stack.app_import", app, str(answer))
        code = _run(Command(name="app", argv=argv, env=variables), log=log, app=app)
        content = _content(answer)
        if content is None:
            raise DevError(
                f"--app {app}: Python ended during the import ({describe_exit(code)})\n{tail(log)}"
            )
    if "trouble" in content:
        raise DevError(f"--app {app}: {content['trouble']}")
    return AppFacts(
        default=content["default_queue"],
        taken=tuple(content["queues"]),
        key_prefix=content["key_prefix"],
        tasks=tuple(
            OwnTask(name=task["name"], required=tuple(task["required"])) for task in content["tasks"]
        ),
    )


def _run(command: Command, *, log: Path, app: str) -> int:
    with log.open("wb") as output:
        process = subprocess.Popen(
            die_with_parent.wrap(command.argv),
            env=command.environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return process.wait(timeout=_IMPORT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise DevError(f"--app {app}: the import did not end within {_IMPORT_SECONDS} s") from error
    finally:
        signal_group(process.pid, number=signal.SIGKILL)
        process.wait()


def _content(answer: Path) -> dict[str, Any] | None:
    """What the import wrote; None if it wrote no JSON object."""
    try:
        content = json.loads(answer.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
