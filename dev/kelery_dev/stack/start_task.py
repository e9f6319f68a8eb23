"""Which task the gateway's `/start` runs in `kelery dev`, and how to call it. Pure.

The gateway itself knows no app and starts `demo.progress`; whoever tries an app of their own means one of
its own tasks.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

VARIABLE = "KELERY_START_TASK"
#: What the gateway starts by itself.
DEMO_TASK = "demo.progress"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTask:
    """A task of the app, and the parameters that it cannot be called without."""

    name: str
    required: tuple[str, ...] = ()


def start_task(tasks: Sequence[OwnTask]) -> OwnTask | None:
    """The demo's if the app has it, else the first by name, but one that needs no arguments before others."""
    by_name = sorted(tasks, key=lambda task: task.name)
    demo = [task for task in by_name if task.name == DEMO_TASK]
    easy = [task for task in by_name if not task.required]
    return next(iter([*demo, *easy, *by_name]), None)


def start_variables(task: OwnTask | None, *, environ: Mapping[str, str]) -> dict[str, str]:
    """What the gateway needs to know; what a person has set stays as it is."""
    return {VARIABLE: task.name} if task and not environ.get(VARIABLE, "").strip() else {}


def start_command(url: str, *, task: OwnTask | None) -> str:
    """A command to be copied that runs the task; `...` stands for what only a person can know."""
    if not task or not task.required:
        return f"curl {url}/start"
    kwargs = json.dumps(dict.fromkeys(task.required, "..."))
    return f"curl -G {url}/start --data-urlencode {shlex.quote(f'kwargs={kwargs}')}"
