"""Who holds a concurrency key and who waits for it."""

from __future__ import annotations

from typing import Any

from kelery import timestamps
from kelery.ledger import commands, queries
from kelery.ledger.async_client import Ledger
from kelery.run.model import Brief


async def keys_page(
    ledger: Ledger, namespace: str, *, after: str, limit: int
) -> tuple[list[dict[str, Any]], str]:
    """Keys in use, in their order, behind the key `after`; and the last one if there may be more."""
    last = f"{namespace}/{after}" if after else ""
    keys = await ledger.run(queries.keys_after(namespace, last, count=limit))
    if not keys:
        return [], ""
    holders = await ledger.run_each([queries.holders(key) for key in keys])
    waiting = await ledger.run_each([queries.waiter_count(key) for key in keys])
    items = [
        {"key": _bare(key, namespace), **_counts(held, waits)}
        for key, held, waits in zip(keys, holders, waiting, strict=True)
    ]
    return items, _bare(keys[-1], namespace) if len(keys) == limit else ""


async def keys_of(ledger: Ledger, namespace: str, key: str, *, waiters_shown: int) -> dict[str, Any]:
    """A key's holders, oldest first, and its first waiters in the order in which they get it."""
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
        "key": key,
        **_counts(held, waits),
        "holders": [_holder(run) for run in holders],
        "waiters": [_waiter(run, position) for position, run in enumerate(waiters, start=1)],
    }


def _counts(held: list[tuple[str, int]], waits: int) -> dict[str, Any]:
    """The smallest limit of the holders applies; without holders, whoever comes next brings it."""
    return {"limit": min((limit for _, limit in held), default=None), "held": len(held), "waiting": waits}


def _holder(run: Brief) -> dict[str, Any]:
    return {**_named(run), "since": timestamps.precise(run.admitted_at or run.queued_at)}


def _waiter(run: Brief, position: int) -> dict[str, Any]:
    return {**_named(run), "position": position, "since": timestamps.precise(run.queued_at)}


def _named(run: Brief) -> dict[str, Any]:
    return {
        "uid": run.uid,
        "name": run.name,
        "task": run.task,
        "phase": run.phase.value,
        "reason": run.reason,
    }


def _bare(key: str, namespace: str) -> str:
    return key.removeprefix(f"{namespace}/")
