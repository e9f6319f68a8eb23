"""Calls for lists, keys, queues and workers. None of them changes a run.

Like `commands`, they are values without a connection. Each list comes in bounded pages.
"""

from __future__ import annotations

from typing import Any

from kelery.ledger import records
from kelery.ledger.commands import Call, Word, function
from kelery.run.model import Brief, QueueUse, WorkerPresence


def newest(
    namespace: str, *, at_most: int | None, at_least: int, offset: int, count: int
) -> Call[list[tuple[str, int]]]:
    """(uid, time of submission) of a namespace's runs, newest first, between two times in microseconds.
    `at_most` None means up to now.
    """
    highest: Word = "+inf" if at_most is None else at_most

    def words(prefix: str) -> tuple[Word, ...]:
        runs = f"{prefix}:runs:{namespace}"
        return ("ZREVRANGEBYSCORE", runs, highest, at_least, "WITHSCORES", "LIMIT", offset, count)

    def parse(reply: Any) -> list[tuple[str, int]]:
        return [(uid, int(float(score))) for uid, score in _pairs(reply)]

    return Call(words, parse)


def brief(uid: str) -> Call[Brief | None]:
    """The fields that lists can filter by; None if the run is unknown."""
    return Call(
        lambda prefix: ("HMGET", f"{prefix}:run:{uid}", *records.BRIEF_FIELDS),
        lambda reply: records.brief(uid, reply),
    )


def uid_of_name(namespace: str, name: str) -> Call[str | None]:
    """The newest run with this name. After its purge or deletion: the newest live one, or None."""
    return Call(lambda prefix: ("HGET", f"{prefix}:names:{namespace}", name), lambda reply: reply)


def live_namesake(namespace: str, name: str) -> Call[str | None]:
    """A live run whose name belongs to a newer run; None if there is none, as is usual."""
    return Call(
        lambda prefix: ("ZRANGE", f"{prefix}:namesakes:{namespace}/{name}", -1, -1),
        lambda reply: reply[0] if reply else None,
    )


def latest_of_key(key: str) -> Call[str | None]:
    """The listed run of a scoped key that was admitted last, live or ended."""
    return Call(
        lambda prefix: ("ZRANGE", f"{prefix}:admitted:{key}", -1, -1),
        lambda reply: reply[0] if reply else None,
    )


def keys_after(namespace: str, last: str, *, count: int) -> Call[list[str]]:
    """Scoped keys with a holder or a waiter, in order, after `last` ("": from the first)."""
    return Call(
        lambda prefix: (
            "ZRANGE",
            f"{prefix}:keys:{namespace}",
            f"({last}" if last else "-",
            "+",
            "BYLEX",
            "LIMIT",
            0,
            count,
        ),
        list,
    )


def holders(key: str) -> Call[list[tuple[str, int]]]:
    """(uid, limit) of every run that holds a slot of a scoped key, the smallest limit first."""
    return Call(
        lambda prefix: ("ZRANGE", f"{prefix}:hold:{key}", 0, -1, "WITHSCORES"),
        lambda reply: [(uid, int(float(limit))) for uid, limit in _pairs(reply)],
    )


def waiter_count(key: str) -> Call[int]:
    """How many runs wait for a scoped key."""
    return Call(lambda prefix: ("ZCARD", f"{prefix}:wait:{key}"), int)


def present(worker: str, info_json: str) -> Call[None]:
    """A worker reports that it is present, with information about itself."""
    return function("present", worker, info_json, parse=lambda reply: None)


def leave(worker: str) -> Call[None]:
    """A worker reports that it stops."""
    return function("leave", worker, parse=lambda reply: None)


def workers() -> Call[list[WorkerPresence]]:
    """All workers that reported within the last hour."""

    def parse(reply: Any) -> list[WorkerPresence]:
        return [
            WorkerPresence(
                worker=worker,
                info_json=info,
                silent_seconds=int(silent_ms) / 1000,
                claims=tuple(claims),
            )
            for worker, info, silent_ms, claims in reply
        ]

    return function("workers", parse=parse)


def queues() -> Call[list[QueueUse]]:
    """The queues that have messages, or runs that a worker has claimed."""

    def parse(reply: Any) -> list[QueueUse]:
        return [
            QueueUse(queue=queue, messages=int(messages), running=int(running))
            for queue, messages, running in reply
        ]

    return function("queues", parse=parse)


def _pairs(reply: Any) -> Any:
    return zip(reply[::2], reply[1::2], strict=True)
