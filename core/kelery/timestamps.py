"""Timestamps as the APIs show them.

Internally, a timestamp is an integer: microseconds since the epoch, by the clock of the ledger's server.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

#: Timestamp 0.
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_WITHOUT_ZONE = EPOCH.replace(tzinfo=None)
_LONGEST = 40


@lru_cache(maxsize=256)
def precise(microseconds: int) -> str:
    """RFC 3339 in UTC, with microseconds."""
    return f"{_plain(microseconds).isoformat(timespec='microseconds')}Z"


@lru_cache(maxsize=256)
def whole(microseconds: int) -> str:
    """RFC 3339 in UTC, in whole seconds, like the times of Kubernetes."""
    return f"{_plain(microseconds).isoformat(timespec='seconds')}Z"


def of(moment: datetime) -> int:
    """The timestamp of an aware datetime."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def parse(value: Any) -> int | None:
    """The timestamp in an RFC 3339 string in UTC; None for anything else."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"):
        try:
            return of(datetime.strptime(value, form).replace(tzinfo=timezone.utc))
        except ValueError:
            continue
    return None


def readable(value: Any) -> str | None:
    """`value` if `parse` can read it; None otherwise."""
    return value if parse(value) is not None else None


def _plain(microseconds: int) -> datetime:
    return _WITHOUT_ZONE + timedelta(microseconds=microseconds)
