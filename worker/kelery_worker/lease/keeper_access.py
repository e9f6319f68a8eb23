"""The main process's keeper, for the Celery hooks; None in a pool child and before the worker is up."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kelery_worker.lease.keeper import Keeper

_keeper: Keeper | None = None
_owner_pid = 0


def put(keeper: Keeper) -> None:
    """Set the keeper of this process."""
    global _keeper, _owner_pid
    _keeper, _owner_pid = keeper, os.getpid()


def get() -> Keeper | None:
    """The keeper; None in a forked child, where its thread does not exist and its locks may stay locked."""
    return _keeper if os.getpid() == _owner_pid else None
