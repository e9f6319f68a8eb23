"""The follower of the stream reports entries that it missed, and reports no gap otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from kelery.ledger import async_client, commands
from kelery.ledger.stream import StreamFollower
from kelery.ledger.types import WrittenEvent
from tests.support.ledger_bench import SUCCEEDED, Bench


class Following(StreamFollower):
    """Notes what it is called with."""

    def __init__(self, ledger: async_client.Ledger) -> None:
        super().__init__(ledger)
        self.uids: list[str] = []
        self.gaps = 0
        self.noted = asyncio.Event()

    def changed(self, events: Sequence[WrittenEvent]) -> None:
        self.uids += [event.uid for event in events]
        self.noted.set()

    def missed(self) -> None:
        self.gaps += 1
        self.noted.set()

    async def gather(self, events: Sequence[WrittenEvent]) -> None:
        return


class WritesBefore:
    """A connection that calls `happening` once, just before it reads the stream's end."""

    def __init__(self, ledger: async_client.Ledger, *, happening: Callable[[], object]) -> None:
        self._ledger = ledger
        self._happening: Callable[[], object] | None = happening

    async def run(self, call: Any) -> Any:
        asks_for_the_end = "kelery_v1_last_event" in call.words("kelery")
        if asks_for_the_end and self._happening is not None:
            happening, self._happening = self._happening, None
            await asyncio.to_thread(happening)
        return await self._ledger.run(call)


def follow(
    url: str,
    *,
    begin_first: bool = True,
    happening: Callable[[], object] = lambda: None,
    before_the_end_is_asked: Callable[[], object] | None = None,
    until: Callable[[Following], bool],
) -> Following:
    """Follow until the condition holds, and for three further checks."""

    async def play() -> Following:
        client = async_client.connect(url, timeout_seconds=5, client_name="test")
        ledger = async_client.Ledger(client, prefix="kelery")
        follower = Following(ledger)
        if begin_first:
            await follower.begin()
        if before_the_end_is_asked is not None:
            follower._ledger = cast("Any", WritesBefore(ledger, happening=before_the_end_is_asked))
        running = asyncio.create_task(follower.run())
        try:
            await asyncio.sleep(0.1)
            await asyncio.to_thread(happening)
            async with asyncio.timeout(20):
                while not until(follower):
                    await follower.noted.wait()
                    follower.noted.clear()
            await asyncio.sleep(2)
            return follower
        finally:
            running.cancel()
            await asyncio.wait([running])
            await client.aclose()

    return asyncio.run(play())


def test_the_first_change_of_all_is_no_gap(bench: Bench, valkey_url: str) -> None:
    bench.ledger.load_library()
    found = follow(valkey_url, happening=lambda: bench.submit("a"), until=lambda f: "a" in f.uids)
    assert (set(found.uids), found.gaps) == ({"a"}, 0)


@pytest.mark.parametrize("is_empty", [True, False])
def test_a_change_that_is_written_between_a_read_and_its_check_is_no_gap(
    bench: Bench, valkey_url: str, is_empty: bool
) -> None:
    bench.ledger.load_library()
    if not is_empty:
        bench.submit("first")
    found = follow(
        valkey_url, before_the_end_is_asked=lambda: bench.submit("a"), until=lambda f: "a" in f.uids
    )
    assert (set(found.uids), found.gaps) == ({"a"}, 0)


def test_a_change_that_was_trimmed_away_unread_is_a_gap(bench: Bench, valkey_url: str) -> None:
    fence = bench.start("a")

    def end_and_trim() -> None:
        with bench.ledger.client.pipeline() as pipeline:
            pipeline.execute_command(*commands.settle("a", fence, SUCCEEDED).words("kelery"))
            pipeline.xtrim("kelery:events", maxlen=0, approximate=False)
            pipeline.execute()

    assert follow(valkey_url, happening=end_and_trim, until=lambda f: f.gaps > 0).gaps == 1


def test_without_a_place_to_begin_at_everything_counts_as_missed_once(bench: Bench, valkey_url: str) -> None:
    bench.submit("a")
    assert follow(valkey_url, begin_first=False, until=lambda f: f.gaps > 0).gaps == 1
