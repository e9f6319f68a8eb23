"""Pages of a namespace's runs, newest first.

A page may be shorter than asked for and still have a next one: a request looks at a bounded number of runs,
however few of them its filters let through, and shows a bounded number of bytes. Invariant: following the
pages shows every run once that was there all the while.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kelery.json_codec import INLINE_BYTES
from kelery.ledger import commands, queries
from kelery.ledger.async_client import Ledger
from kelery.run.model import Brief, Record
from kelery.run.phases import Phase

CURSOR_FORM = r"^[0-9]{1,16}\.[-.0-9A-Za-z]{1,253}$"
_CURSOR = re.compile(CURSOR_FORM)
_BATCH = 500
_MOST_LOOKED_AT = 5000
#: A page is made whole before it is sent: what one request may take of the gateway's memory and time.
_MOST_BYTES = 4 * 1024 * 1024
_READ_AT_ONCE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What a list is narrowed to; None and "" for what does not matter."""

    phases: frozenset[Phase] = frozenset()
    task: str = ""
    #: As users write it, without the namespace.
    key: str = ""
    #: Microseconds since the epoch.
    since: int = 0

    @property
    def needs_a_look(self) -> bool:
        """Whether the order of submission alone does not tell."""
        return bool(self.phases or self.task or self.key)

    def admits(self, run: Brief, *, namespace: str) -> bool:
        """Whether the run is wanted."""
        return (
            (not self.phases or run.phase in self.phases)
            and (not self.task or run.task == self.task)
            and (not self.key or run.key == f"{namespace}/{self.key}")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The last run that was looked at; the next page begins behind it."""

    at: int
    uid: str

    def encode(self) -> str:
        """As clients hand it back; what is in it is no promise to them."""
        return f"{self.at}.{self.uid}"

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """ValueError for what has not CURSOR_FORM."""
        if not _CURSOR.fullmatch(text):
            raise ValueError("not a cursor")
        at, _, uid = text.partition(".")
        return cls(at=int(at), uid=uid)

    def is_before(self, entry: tuple[str, int]) -> bool:
        """Whether an entry comes behind this one, in the order of the list."""
        uid, at = entry
        return (at, uid) < (self.at, self.uid)


async def page(
    ledger: Ledger, namespace: str, *, wanted: Filter, limit: int, after: Cursor | None
) -> tuple[list[Record], Cursor | None]:
    """Up to `limit` runs behind `after`, and where to go on; None behind the last."""
    found: list[Cursor] = []
    looked_at = 0
    batch = _BATCH if wanted.needs_a_look else limit + 1
    while looked_at < _MOST_LOOKED_AT:
        entries, ended = await _behind(ledger, namespace, after, since=wanted.since, count=batch)
        for entry, is_wanted in zip(entries, await _wanted(ledger, namespace, entries, wanted), strict=True):
            if is_wanted and len(found) == limit:
                return await _shown(ledger, found, after=after)
            after = Cursor(uid=entry[0], at=entry[1])
            if is_wanted:
                found.append(after)
        looked_at += len(entries)
        if ended:
            return await _shown(ledger, found, after=None)
    return await _shown(ledger, found, after=after)


async def _behind(
    ledger: Ledger, namespace: str, after: Cursor | None, *, since: int, count: int
) -> tuple[list[tuple[str, int]], bool]:
    """Some entries behind a cursor, and whether there are no more."""
    offset = 0
    while True:
        entries = await ledger.run(
            queries.newest(
                namespace,
                at_most=after.at if after else None,
                at_least=since,
                offset=offset,
                count=count,
            )
        )
        # Runs submitted in the same microsecond as the cursor's stand on both sides of it.
        behind = [entry for entry in entries if after is None or after.is_before(entry)]
        if behind or len(entries) < count:
            return behind, len(entries) < count
        offset += count


async def _wanted(
    ledger: Ledger, namespace: str, entries: list[tuple[str, int]], wanted: Filter
) -> list[bool]:
    if not wanted.needs_a_look or not entries:
        return [True] * len(entries)
    briefs = await ledger.run_each([queries.brief(uid) for uid, _ in entries])
    return [run is not None and wanted.admits(run, namespace=namespace) for run in briefs]


async def _shown(
    ledger: Ledger, found: list[Cursor], *, after: Cursor | None
) -> tuple[list[Record], Cursor | None]:
    """The runs that were found, and `after`; fewer, and where to go on, if they are large."""
    shown: list[Record] = []
    size = 0
    for start in range(0, len(found), _READ_AT_ONCE):
        part = found[start : start + _READ_AT_ONCE]
        records = await ledger.run(commands.view([run.uid for run in part], inline_bytes=INLINE_BYTES))
        shown += (record for record in records if record is not None and not record.is_deleted)
        size += sum(_size(record) for record in records if record is not None)
        if size > _MOST_BYTES and part[-1] is not found[-1]:
            return shown, part[-1]
    return shown, after


def _size(record: Record) -> int:
    return len(record.spec_json) + len(record.result_json) + len(record.error_json)
