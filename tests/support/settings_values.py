"""The values that a command gets for its settings in a given environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click


def settings_values(command: click.Command, environ: Mapping[str, str], *flags: str) -> dict[str, Any]:
    """The values of the command's parameters, by their names."""
    return command.make_context("kelery", list(flags), obj=environ).params
