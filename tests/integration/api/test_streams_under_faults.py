"""Many runs and their watchers, while connections, the stream and the server fail."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import suppress

import pytest
import redis

from kelery.ledger import commands, sync_client
from kelery.run.phases import Phase
from kelery_api.streams import event_stream
from kelery_dev.stack.valkey import ValkeyServer
from tests.integration.api.playing_hand import Hand
from tests.integration.api.stream_reader import FOLLOWER_NAME, StreamReader, gateway_parts, until
from tests.support.ledger_bench import Bench


class Nemesis:
    """Breaks the follower's connection, the stream and the server in turn."""

    def __init__(self, server: ValkeyServer) -> None:
        self._server = server
        self.killed = self.trimmed = self.restarted = 0
        self._stop = False

    def stop(self) -> None:
        self._stop = True

    def run(self) -> None:
        for turn in itertools.count(1):
            if self._stop:
                return
            if turn % 15 == 0:
                self._server.kill()
                self._server.start()
                self.restarted += 1
            with suppress(redis.RedisError), redis.Redis.from_url(self._server.url) as client:
                self._kill_and_trim(client)
            time.sleep(0.02)

    def _kill_and_trim(self, client: redis.Redis) -> None:
        follower = [each["id"] for each in client.client_list() if each["name"] == FOLLOWER_NAME]
        # In one transaction, so that the follower never sees the changes just before.
        with client.pipeline() as pipeline:
            for connection in follower[:1]:
                pipeline.client_kill_filter(_id=connection)
            pipeline.xtrim("kelery:events", maxlen=0, approximate=False)
            *killed, trimmed = pipeline.execute()
        self.killed += sum(killed)
        self.trimmed += trimmed


@pytest.mark.parametrize(("runs", "hands"), [(80, 2), pytest.param(200, 4, marks=pytest.mark.thorough)])
def test_no_change_is_lost_or_sent_twice_while_everything_breaks(
    own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, runs: int, hands: int
) -> None:
    """Keep-alives are off, since they read again too. So only the follower wakes watchers."""
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_SECONDS", 600.0)
    uids = [f"run-{number}" for number in range(runs)]
    with sync_client.connect(own_valkey.url, timeout_seconds=5, client_name="submits") as client:
        before = Bench(sync_client.Ledger(client, prefix="kelery"))
        before.submit_all(uids)
    nemesis = Nemesis(own_valkey)

    def is_broken_enough() -> bool:
        return nemesis.killed >= 10 and nemesis.trimmed > runs / 2 and nemesis.restarted >= 2

    async def watch() -> tuple[list[StreamReader], list[StreamReader], list[Phase]]:
        async with gateway_parts(own_valkey.url) as parts:
            streams = [await parts.read(uid) for uid in uids]
            again = [await parts.read(uid) for uid in uids[::10]]
            waiting = [await parts.wait(uid, seconds=120) for uid in uids]
            breaking = asyncio.create_task(asyncio.to_thread(nemesis.run))
            plays = [
                asyncio.to_thread(Hand(own_valkey.url).play, uids[n::hands], is_enough=is_broken_enough)
                for n in range(hands)
            ]
            try:
                await asyncio.gather(*plays)
            finally:
                nemesis.stop()
                await breaking
            for stream in (*streams, *again):
                await stream.wait_for_end(seconds=60)
            records = await asyncio.wait_for(asyncio.gather(*waiting), timeout=60)
            await until(lambda: parts.follower.watched_runs == 0, what="all watchers to be gone")
            return streams, again, [record.phase for record in records if record is not None]

    streams, again, phases = asyncio.run(watch())
    print(f"killed {nemesis.killed}, trimmed {nemesis.trimmed}, restarted {nemesis.restarted}")
    assert is_broken_enough()
    assert len(phases) == runs
    assert all(phase.is_final for phase in phases)
    with sync_client.connect(own_valkey.url, timeout_seconds=5, client_name="looks") as client:
        ledger = sync_client.Ledger(client, prefix="kelery")
        histories = {uid: [change.rev for change in ledger.run(commands.history(uid))] for uid in uids}
    for uid, stream in zip([*uids, *uids[::10]], [*streams, *again], strict=True):
        assert stream.phases == histories[uid]
        assert stream.names[-1] == "finished"
        ids = [event.id for event in stream.events]
        assert ids == sorted(ids)
