"""The errors that Kelery raises on purpose, named by what they mean for the caller.

KeleryError
├── InvalidInput            invalid data from the caller; names every bad field and the fix
│   └── SpecTooLarge        the spec is nested too deeply or too large
├── SettingsError           a setting is missing or invalid; names the setting and the fix
└── LedgerError
    ├── LedgerUnavailable   Redis did not answer or cannot write; the same call can be repeated
    ├── LedgerTooOld        Redis is too old for Kelery
    └── RunConflict         the uid belongs to a run with another spec
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

#: The path from the whole input to one value: field names and list indexes.
FieldPath = tuple[str | int, ...]

#: The error about an input must not become larger than the input.
_MOST_PROBLEMS = 100
_MOST_SHOWN = 10
_LONGEST_STEP = 64
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_WRITTEN_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class KeleryError(Exception):
    """Base of all errors that Kelery raises on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFault:
    """The problem of one value, and the fix."""

    path: FieldPath
    problem: str

    @property
    def field(self) -> str:
        """The path in text form: `spec.concurrency.limit`, `spec.retry.reasons[1]`."""
        return "".join(_as_written(step) for step in self.path).removeprefix(".")

    def __str__(self) -> str:
        return f"{self.field or 'the input'}: {self.problem}"


class InvalidInput(KeleryError):
    """Invalid values. `field` and `problem` are those of the first entry in `problems`."""

    def __init__(self, where: str | FieldPath, problem: str, *, further: Sequence[FieldFault] = ()) -> None:
        """`where` is a path, or its text form (`spec.concurrency.limit`)."""
        path = _path_of(where) if isinstance(where, str) else where
        problems = (FieldFault(path=path, problem=problem), *further)
        super().__init__(_listed(problems))
        self.problems = problems[:_MOST_PROBLEMS]
        self.field = problems[0].field
        self.problem = problem


class SpecTooLarge(InvalidInput):
    """The spec is nested too deeply, or is too large."""


class SettingsError(KeleryError):
    """A setting is missing or invalid."""


class LedgerError(KeleryError):
    """An error of a call of the ledger."""


class LedgerUnavailable(LedgerError):
    """Redis did not answer in time or refused. The effect of the call is unknown; repeating it is safe."""


class LedgerTooOld(LedgerError):
    """The server does not support Redis Functions."""


class RunConflict(LedgerError):
    """A run with this uid exists, with another spec."""


def json_pointer(path: FieldPath) -> str:
    """The path as a JSON pointer (RFC 6901); "" is the whole input.

    UTF-8 cannot encode a lone surrogate. It becomes U+FFFD, as it does in the API server.
    """
    steps = (_SURROGATE.sub("\ufffd", str(step)) for step in path)
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def _listed(problems: Sequence[FieldFault]) -> str:
    """One line for each problem, short enough for a status."""
    lines = [str(problem) for problem in problems[:_MOST_SHOWN]]
    if len(problems) > _MOST_SHOWN:
        lines.append(f"and {len(problems) - _MOST_SHOWN} more")
    return "\n".join(lines)


def _as_written(step: str | int) -> str:
    """One step in text form. An ambiguous name is in brackets and quotes."""
    if isinstance(step, int):
        return f"[{step}]"
    if len(step) <= _LONGEST_STEP and _PLAIN_NAME.fullmatch(step):
        return f".{step}"
    cut = step if len(step) <= _LONGEST_STEP else f"{step[: _LONGEST_STEP - 3]}..."
    return f"[{json.dumps(cut)}]"


def _path_of(field: str) -> FieldPath:
    return tuple(int(index) if index else name for index, name in _WRITTEN_STEP.findall(field))
