"""Moments as the API shows them.

Inside Kelery a moment is whole microseconds since the epoch, by the clock of the ledger's server.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any

#: The moment zero.
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_WITHOUT_ZONE = EPOCH.replace(tzinfo=None)
_LONGEST = 40


@lru_cache(maxsize=256)
def precise(microseconds: int) -> str:
    """To the microsecond, UTC."""
    return f"{_plain(microseconds).isoformat(timespec='microseconds')}Z"


@lru_cache(maxsize=256)
def whole(microseconds: int) -> str:
    """Whole seconds, UTC, as Kubernetes' own times are."""
    return f"{_plain(microseconds).isoformat(timespec='seconds')}Z"


def of(moment: datetime) -> int:
    """The moment of an aware datetime."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def parse(value: Any) -> int | None:
    """The moment that a string in UTC shows; None for anything else."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"):
        try:
            return of(datetime.strptime(value, form).replace(tzinfo=timezone.utc))
        except ValueError:
            continue
    return None


def readable(value: Any) -> str | None:
    """`value` if it is a string that shows a moment in UTC; None for anything else."""
    return value if parse(value) is not None else None


def _plain(microseconds: int) -> datetime:
    return _WITHOUT_ZONE + timedelta(microseconds=microseconds)
