"""Cuts what tasks and workers say to what the CRD takes; a refused status write would hide the outcome."""

from __future__ import annotations

import re
from typing import Any

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_REASON = re.compile(r"[A-Z][A-Za-z0-9]{0,63}", re.ASCII)


def line(value: Any, *, longest: int) -> str:
    """One line without control characters, cut at its end; "" for what is no string."""
    return _CONTROL.sub(" ", prose(value, longest=longest))


def prose(value: Any, *, longest: int) -> str:
    """Text cut at its end; "" for what is no string."""
    return _SURROGATE.sub("\ufffd", value[:longest]) if isinstance(value, str) else ""


def ending(value: Any, *, longest: int) -> str:
    """The end of a text; "" for what is no string."""
    return _SURROGATE.sub("\ufffd", value[-longest:]) if isinstance(value, str) else ""


def reason(value: str) -> str:
    """A reason as conditions take it; another version of the ledger may have some that we do not know."""
    return value if _REASON.fullmatch(value) else "Unknown"
