"""The task of the gateway's `/start` in `kelery dev`, and the command to call it. Pure.

The gateway itself does not know the app and starts `demo.progress`. With your own app, `/start` runs one of
the app's tasks.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

VARIABLE = "KELERY_START_TASK"
#: The gateway's own default.
DEMO_TASK = "demo.progress"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTask:
    """A task of the app and its required parameters."""

    name: str
    required: tuple[str, ...] = ()


def start_task(tasks: Sequence[OwnTask]) -> OwnTask | None:
    """The demo's task if the app has it, else the first by name; tasks without required arguments first."""
    by_name = sorted(tasks, key=lambda task: task.name)
    demo = [task for task in by_name if task.name == DEMO_TASK]
    easy = [task for task in by_name if not task.required]
    return next(iter([*demo, *easy, *by_name]), None)


def start_variables(task: OwnTask | None, *, environ: Mapping[str, str]) -> dict[str, str]:
    """The variable for the gateway; one that the user has set stays unchanged."""
    return {VARIABLE: task.name} if task and not environ.get(VARIABLE, "").strip() else {}


def start_command(url: str, *, task: OwnTask | None) -> str:
    """A command that runs the task; `...` marks values that the user must fill in."""
    if not task or not task.required:
        return f"curl {url}/start"
    kwargs = json.dumps(dict.fromkeys(task.required, "..."))
    return f"curl -G {url}/start --data-urlencode {shlex.quote(f'kwargs={kwargs}')}"
