"""The documents' commands, typed into one shell."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from kelery_dev.documents.blocks import Command
from kelery_dev.errors import DevError

_SECONDS = 120
_SEPARATOR = "=== end of a command, status "


def type_into_a_shell(typed: Sequence[Command], *, cwd: Path, environment: Mapping[str, str]) -> list[str]:
    """The output of each command, all in one shell; DevError with all output if one fails,
    subprocess.TimeoutExpired after two minutes."""
    lines = [f"{command.line}\n_status=$?; echo; echo '{_SEPARATOR}'$_status" for command in typed]
    ran = subprocess.run(
        ["sh"],
        input="\n".join(lines),
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
    )
    *parts, rest = re.split(rf"^{_SEPARATOR}(\d+)\n", ran.stdout, flags=re.M)
    outputs, statuses = parts[::2], parts[1::2]
    if rest or set(statuses) != {"0"} or len(outputs) != len(typed):
        raise DevError(f"a command failed:\n{ran.stdout}")
    return [output.strip() for output in outputs]
