"""Every error that Kelery raises on purpose, named by what it means for the caller.

KeleryError
├── InvalidInput            the caller's data is at fault: names every bad field and the fix
│   └── SpecTooLarge        nested or larger than a run may be
├── SettingsError           the environment is at fault: names the variable and the fix
└── LedgerError
    ├── LedgerUnavailable   Redis did not answer, or may not write: the same call may be made again
    ├── LedgerTooOld        Redis (or a library another version loaded) lacks what is needed
    └── RunConflict         the uid is taken by a run with another spec
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

#: The steps from the whole input to one value: names of fields and indexes of lists.
FieldPath = tuple[str | int, ...]

#: More than anybody mends at once; what is said about an input must not outgrow it.
_MOST_PROBLEMS = 100
_MOST_SHOWN = 10
_LONGEST_STEP = 64
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_WRITTEN_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class KeleryError(Exception):
    """Base of all errors of Kelery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFault:
    """What is wrong with one value, and what to give instead."""

    path: FieldPath
    problem: str

    @property
    def field(self) -> str:
        """The path as users write it: `spec.concurrency.limit`, `spec.retry.reasons[1]`."""
        return "".join(_as_written(step) for step in self.path).removeprefix(".")

    def __str__(self) -> str:
        return f"{self.field or 'the input'}: {self.problem}"


class InvalidInput(KeleryError):
    """Values that cannot be accepted; `field` and `problem` are those of the first of `problems`."""

    def __init__(self, where: str | FieldPath, problem: str, *, further: Sequence[FieldFault] = ()) -> None:
        """`where` is a path, or one of plain names as users write it (`spec.concurrency.limit`)."""
        path = _path_of(where) if isinstance(where, str) else where
        problems = (FieldFault(path=path, problem=problem), *further)
        super().__init__(_listed(problems))
        self.problems = problems[:_MOST_PROBLEMS]
        self.field = problems[0].field
        self.problem = problem


class SpecTooLarge(InvalidInput):
    """The spec is nested deeper, or is larger, than a run may be."""


class SettingsError(KeleryError):
    """The environment does not say what is needed, or says it wrongly."""


class LedgerError(KeleryError):
    """Something between us and the ledger."""


class LedgerUnavailable(LedgerError):
    """Redis did not answer in time or refused; its effect is not known, and calling again is safe."""


class LedgerTooOld(LedgerError):
    """The server lacks Redis Functions, or keeps an older ledger library than ours."""


class RunConflict(LedgerError):
    """A run with this uid exists and has another spec."""


def json_pointer(path: FieldPath) -> str:
    """The path by RFC 6901; "" is the whole input.

    A lone surrogate, which UTF-8 cannot say, becomes U+FFFD, as it does when the API server reads it.
    """
    steps = (_SURROGATE.sub("\ufffd", str(step)) for step in path)
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def _listed(problems: Sequence[FieldFault]) -> str:
    """One line for each; short enough for a status, whatever somebody sent."""
    lines = [str(problem) for problem in problems[:_MOST_SHOWN]]
    if len(problems) > _MOST_SHOWN:
        lines.append(f"and {len(problems) - _MOST_SHOWN} more")
    return "\n".join(lines)


def _as_written(step: str | int) -> str:
    """A name that would be misread, or read as several, stands in brackets and quotes."""
    if isinstance(step, int):
        return f"[{step}]"
    if len(step) <= _LONGEST_STEP and _PLAIN_NAME.fullmatch(step):
        return f".{step}"
    cut = step if len(step) <= _LONGEST_STEP else f"{step[: _LONGEST_STEP - 3]}..."
    return f"[{json.dumps(cut)}]"


def _path_of(field: str) -> FieldPath:
    return tuple(int(index) if index else name for index, name in _WRITTEN_STEP.findall(field))
