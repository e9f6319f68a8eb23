"""Concurrency keys with their holders and waiters."""

from __future__ import annotations

from kelery import timestamps
from kelery.ledger import commands, queries
from kelery.ledger.async_client import Ledger
from kelery.run.model import Brief
from kelery_api.models import Key, KeyHolder, KeySummary, KeyWaiter


async def keys_page(
    ledger: Ledger, namespace: str, *, after: str, limit: int
) -> tuple[list[KeySummary], str]:
    """A page of keys in use, sorted, after the key `after`. Also the last key of the page if more can follow,
    else "".
    """
    last = f"{namespace}/{after}" if after else ""
    keys = await ledger.run(queries.keys_after(namespace, last, count=limit))
    if not keys:
        return [], ""
    holders = await ledger.run_each([queries.holders(key) for key in keys])
    waiting = await ledger.run_each([queries.waiter_count(key) for key in keys])
    items = [
        _summary(_bare(key, namespace), held=held, waiting=waits)
        for key, held, waits in zip(keys, holders, waiting, strict=True)
    ]
    return items, _bare(keys[-1], namespace) if len(keys) == limit else ""


async def key_details(ledger: Ledger, namespace: str, key: str, *, waiters_shown: int) -> Key:
    """A key's holders, oldest first, and its first waiters in the order of their admission."""
    scoped = f"{namespace}/{key}"
    held = await ledger.run(queries.holders(scoped))
    waits = await ledger.run(queries.waiter_count(scoped))
    first = await ledger.run(commands.first_waiters(scoped, count=waiters_shown))
    uids = [*(uid for uid, _ in held), *first]
    briefs = await ledger.run_each([queries.brief(uid) for uid in uids]) if uids else []
    holders = [run for run in briefs[: len(held)] if run is not None]
    waiters = [run for run in briefs[len(held) :] if run is not None]
    holders.sort(key=lambda run: run.admitted_at or 0)
    return {
        **_summary(key, held=held, waiting=waits),
        "holders": [_shown(run, since=run.admitted_at or run.queued_at) for run in holders],
        "waiters": [_waiter(run, position) for position, run in enumerate(waiters, start=1)],
    }


def _summary(key: str, *, held: list[tuple[str, int]], waiting: int) -> KeySummary:
    """The smallest limit of the holders applies. Without holders, the next run determines it."""
    limit = min((limit for _, limit in held), default=None)
    return {"key": key, "limit": limit, "held": len(held), "waiting": waiting}


def _waiter(run: Brief, position: int) -> KeyWaiter:
    return {**_shown(run, since=run.queued_at), "position": position}


def _shown(run: Brief, *, since: int) -> KeyHolder:
    return {
        "uid": run.uid,
        "name": run.name,
        "task": run.task,
        "phase": run.phase.value,
        "reason": run.reason,
        "since": timestamps.precise(since),
    }


def _bare(key: str, namespace: str) -> str:
    return key.removeprefix(f"{namespace}/")
