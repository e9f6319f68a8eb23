"""Cuts texts of tasks and workers to the CRD's bounds: a refused status write would hide the outcome."""

from __future__ import annotations

import re
from typing import Any

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_REASON = re.compile(r"[A-Z][A-Za-z0-9]{0,63}", re.ASCII)


def line(value: Any, *, longest: int) -> str:
    """One line without control characters, at most `longest` characters; "" if it is not a string."""
    return _CONTROL.sub(" ", prose(value, longest=longest))


def prose(value: Any, *, longest: int) -> str:
    """The first `longest` characters of a text; "" if it is not a string."""
    return _SURROGATE.sub("\ufffd", value[:longest]) if isinstance(value, str) else ""


def ending(value: Any, *, longest: int) -> str:
    """The last `longest` characters of a text; "" if it is not a string."""
    return _SURROGATE.sub("\ufffd", value[-longest:]) if isinstance(value, str) else ""


def reason(value: str) -> str:
    """A reason that a condition can have; "Unknown" if the ledger's is not one word."""
    return value if _REASON.fullmatch(value) else "Unknown"
