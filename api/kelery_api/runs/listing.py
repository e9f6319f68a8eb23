"""Pages of a namespace's runs, newest first.

A page can be shorter than its limit and still have a next page. A request reads a bounded number of runs, no
matter how few match its filter, and returns a bounded number of bytes. Invariant: the pages show every run
exactly once that exists the whole time.
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
#: Limit on the gateway's memory and time per request, because a page is built before it is sent.
_MOST_BYTES = 4 * 1024 * 1024
_READ_AT_ONCE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The filter of a list. Empty fields match every run."""

    phases: frozenset[Phase] = frozenset()
    task: str = ""
    #: As in the spec, without the namespace.
    key: str = ""
    #: Microseconds since the epoch.
    since: int = 0

    @property
    def needs_a_look(self) -> bool:
        """Whether the runs must be read, since the index by submission time is not enough."""
        return bool(self.phases or self.task or self.key)

    def admits(self, run: Brief, *, namespace: str) -> bool:
        """Whether the run matches."""
        return (
            (not self.phases or run.phase in self.phases)
            and (not self.task or run.task == self.task)
            and (not self.key or run.key == f"{namespace}/{self.key}")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The last run that was read. The next page begins after it."""

    at: int
    uid: str

    def encode(self) -> str:
        """The text for clients, who must treat it as opaque."""
        return f"{self.at}.{self.uid}"

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """Raises ValueError for a text that does not match CURSOR_FORM."""
        if not _CURSOR.fullmatch(text):
            raise ValueError("not a cursor")
        at, _, uid = text.partition(".")
        return cls(at=int(at), uid=uid)

    def is_before(self, entry: tuple[str, int]) -> bool:
        """Whether an entry comes after this one in the list."""
        uid, at = entry
        return (at, uid) < (self.at, self.uid)


async def page(
    ledger: Ledger, namespace: str, *, wanted: Filter, limit: int, after: Cursor | None
) -> tuple[list[Record], Cursor | None]:
    """Up to `limit` runs after the cursor, and the next cursor; None at the end."""
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
    """Some entries after a cursor, and whether these are the last."""
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
        # Runs of the cursor's microsecond can be before or after it.
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
    """The records of the runs, and `after`. If they are large: fewer of them, and the cursor of the last."""
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
