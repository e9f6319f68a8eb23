"""Calls that look around in the ledger: lists, keys, queues, workers. None of them decides or moves a run.

Like `commands`, values without a connection; each list comes in bounded pieces.
"""

from __future__ import annotations

from typing import Any

from kelery.ledger import records
from kelery.ledger.commands import Call, Word, function
from kelery.run.model import Brief, QueueUse, WorkerPresence


def newest(
    namespace: str, *, at_most: int | None, at_least: int, offset: int, count: int
) -> Call[list[tuple[str, int]]]:
    """(uid, submitted at) of a namespace's runs, newest first, within bounds in microseconds (`at_most` None:
    up to now).
    """
    highest: Word = "+inf" if at_most is None else at_most

    def words(prefix: str) -> tuple[Word, ...]:
        runs = f"{prefix}:runs:{namespace}"
        return ("ZREVRANGEBYSCORE", runs, highest, at_least, "WITHSCORES", "LIMIT", offset, count)

    def parse(reply: Any) -> list[tuple[str, int]]:
        return [(uid, int(float(score))) for uid, score in _pairs(reply)]

    return Call(words, parse)


def brief(uid: str) -> Call[Brief | None]:
    """What lists are filtered by; None if the run is not known any more."""
    return Call(
        lambda prefix: ("HMGET", f"{prefix}:run:{uid}", *records.BRIEF_FIELDS),
        lambda reply: records.brief(uid, reply),
    )


def uid_of_name(namespace: str, name: str) -> Call[str | None]:
    """The newest run of that name; once that is purged or deleted, the newest live one if there is one."""
    return Call(lambda prefix: ("HGET", f"{prefix}:names:{namespace}", name), lambda reply: reply)


def live_namesake(namespace: str, name: str) -> Call[str | None]:
    """A live run whose name a newer run has taken; None, as nearly always, if there is none."""
    return Call(
        lambda prefix: ("ZRANGE", f"{prefix}:namesakes:{namespace}/{name}", -1, -1),
        lambda reply: reply[0] if reply else None,
    )


def latest_of_key(key: str) -> Call[str | None]:
    """Of the listed runs of a scoped key, the one that was admitted last; whether it has ended or not."""
    return Call(
        lambda prefix: ("ZRANGE", f"{prefix}:admitted:{key}", -1, -1),
        lambda reply: reply[0] if reply else None,
    )


def keys_after(namespace: str, last: str, *, count: int) -> Call[list[str]]:
    """Scoped keys that somebody holds or waits for, in their order, after `last` ("": from the first)."""
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
    """(uid, its limit) of every run that holds a scoped key, the smallest limit first."""
    return Call(
        lambda prefix: ("ZRANGE", f"{prefix}:hold:{key}", 0, -1, "WITHSCORES"),
        lambda reply: [(uid, int(float(limit))) for uid, limit in _pairs(reply)],
    )


def waiter_count(key: str) -> Call[int]:
    """How many runs wait for a scoped key."""
    return Call(lambda prefix: ("ZCARD", f"{prefix}:wait:{key}"), int)


def present(worker: str, info_json: str) -> Call[None]:
    """A worker says that it is there, and what it is."""
    return function("present", worker, info_json, parse=lambda reply: None)


def leave(worker: str) -> Call[None]:
    """A worker says that it goes."""
    return function("leave", worker, parse=lambda reply: None)


def workers() -> Call[list[WorkerPresence]]:
    """Every worker that spoke within the last hour."""

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
    """The queues with messages or with runs that a worker has."""

    def parse(reply: Any) -> list[QueueUse]:
        return [
            QueueUse(queue=queue, messages=int(messages), running=int(running))
            for queue, messages, running in reply
        ]

    return function("queues", parse=parse)


def _pairs(reply: Any) -> Any:
    return zip(reply[::2], reply[1::2], strict=True)
