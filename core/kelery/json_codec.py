"""JSON as Kelery writes it, and the limits for the input of users.

Invariant: the depth of a value is checked before any code recurses into it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

#: The limit for a spec, as compact JSON.
MAX_SPEC_BYTES = 128 * 1024
#: `args` and `kwargs` themselves are level 1.
MAX_ARGUMENT_DEPTH = 32
#: A result up to this size is in the status. A larger one is only in the ledger.
INLINE_BYTES = 32 * 1024
#: A deeper result is not in the status, because encoders on the way to the API server recurse.
MAX_INLINE_DEPTH = 100

_LEAST_INTEGER, _MOST_INTEGER = -(2**63), 2**63 - 1


# Created once; json.dumps would create one for each call.
_COMPACT = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_CANONICAL = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False)
_UTF8 = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def compact(value: Any) -> str:
    """JSON without spaces, in ASCII, so no later encoding can fail. ValueError for NaN and infinities."""
    return _COMPACT.encode(value)


def canonical(value: Any) -> str:
    """Compact JSON with sorted keys: equal values have equal texts."""
    return _CANONICAL.encode(value)


def size_in_bytes(value: Any) -> int:
    """The size of the compact JSON in UTF-8, as the API server stores it."""
    return len(_UTF8.encode(value).encode("utf-8", "surrogatepass"))


def is_deeper_than(value: Any, limit: int) -> bool:
    """Whether lists and objects are nested deeper than `limit`. Does not recurse."""
    level = [value]
    for _ in range(limit + 1):
        containers = [item for item in level if isinstance(item, (Mapping, list, tuple))]
        if not containers:
            return False
        level = [child for item in containers for child in _children(item)]
    return True


def inline_value(text: str) -> Any:
    """The value of `text`; ValueError if the API server would not store it unchanged."""
    try:
        value = _INLINE.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if is_deeper_than(value, MAX_INLINE_DEPTH):
        raise ValueError("nested too deeply")
    return value


def _children(container: Any) -> Any:
    return container.values() if isinstance(container, Mapping) else container


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number too large for JSON readers")
    return value


def _integer(text: str) -> int:
    value = int(text)
    if not _LEAST_INTEGER <= value <= _MOST_INTEGER:
        raise ValueError("an integer beyond 64 bits")
    return value


_INLINE = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite, parse_int=_integer)
