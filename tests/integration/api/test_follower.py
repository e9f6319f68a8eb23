"""Watchers of a run are notified, no matter what happens to the connection, the server and the stream."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager

import pytest

from kelery.errors import LedgerError, LedgerUnavailable
from kelery.ledger import commands, sync_client
from kelery.ledger.types import Outcome
from kelery.run.phases import Phase, Reason
from kelery_api.streams import event_stream
from kelery_api.streams.follower import LOOK_AGAIN_SECONDS, final_record
from kelery_dev.stack.valkey import ValkeyServer
from tests.integration.api.playing_hand import Hand
from tests.integration.api.stream_reader import Parts, StreamReader, gateway_parts, until
from tests.support.frozen_process import frozen
from tests.support.ledger_bench import SUCCEEDED, Bench, failed


@pytest.fixture
def bench(valkey_url: str) -> Iterator[Bench]:
    """The ledger, and a simulated worker."""
    with sync_client.connect(valkey_url, timeout_seconds=5, client_name="played") as client:
        yield Bench(sync_client.Ledger(client, prefix="kelery"))


@pytest.fixture(autouse=True)
def no_keep_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns keep-alives off, since they read again too. Then only the follower wakes watchers."""
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_SECONDS", 600.0)


def eventful_run(bench: Bench, uid: str) -> Iterator[None]:
    """A run with a retry, progress and a cancel, a step at a time."""
    fence = bench.start(uid)
    yield
    assert bench.ledger.run(commands.progress(uid, fence, '{"current":1}'))
    yield
    bench.settle(uid, fence, Outcome(kind="retry", reason=Reason.RETRIED))
    yield
    bench.tick()
    fence = bench.claim(uid, attempt=2)
    assert bench.ledger.run(commands.progress(uid, fence, '{"current":2}'))
    yield
    bench.cancel(uid)
    yield
    bench.settle(uid, fence, failed())
    yield


def test_resuming_at_every_id_gives_exactly_the_remaining_events(bench: Bench) -> None:
    async def follow() -> None:
        async with gateway_parts_of(bench) as parts:
            steps = eventful_run(bench, "r")
            next(steps)
            whole = await parts.read("r")
            resumed: list[tuple[int, StreamReader]] = []
            told = 0
            for _ in steps:
                await whole.wait_for(told + 1)
                told = len(whole.events)
                # At each step of the run, with each id that a client can have by then.
                newest = (await parts.record("r")).rev
                resumed += [
                    (seen, reader)
                    for seen in range(newest + 1)
                    if isinstance(reader := await parts.open("r", last_event_id=str(seen)), StreamReader)
                ]
            await whole.wait_for_end()
            last = whole.phases[-1]
            assert whole.names[-1] == "finished"
            assert len(whole.phases) == 6
            assert len(resumed) > 20
            for seen, reader in resumed:
                await reader.wait_for_end()
                assert reader.phases == [rev for rev in whole.phases if rev > seen], seen
            assert await parts.open("r", last_event_id=str(last)) == 204
            assert parts.follower.watched_runs == 0

    asyncio.run(follow())


def test_a_stream_sends_each_phase_and_progress_at_once(bench: Bench) -> None:
    async def follow() -> StreamReader:
        async with gateway_parts_of(bench) as parts:
            fence = bench.start("r")
            reader = await parts.read("r")
            await reader.wait_for(2)
            bench.ledger.run(commands.progress("r", fence, '{"current":1,"total":2,"message":"half"}'))
            await reader.wait_for(3)
            bench.settle("r", fence)
            return await reader.wait_for_end()

    reader = asyncio.run(follow())
    assert reader.headers["content-type"] == "text/event-stream"
    assert reader.headers["cache-control"] == "no-store"
    assert reader.names == ["phase", "phase", "progress", "finished"]
    admitted, running, progress, finished = (event.data for event in reader.events)
    assert (admitted["phase"], running["phase"], running["reason"]) == ("Admitted", "Running", "Started")
    assert progress == {"current": 1, "total": 2, "message": "half", "rev": 3}
    assert finished["status"]["phase"] == "Succeeded"
    assert finished["status"]["result"] == {"value": 3, "truncated": False}


def test_constant_progress_does_not_flood_the_watcher(bench: Bench) -> None:
    async def follow() -> tuple[StreamReader, float]:
        async with gateway_parts_of(bench) as parts:
            fence = bench.start("r")
            began = time.monotonic()
            reader = await parts.read("r")
            for current in range(1000):
                bench.ledger.run(commands.progress("r", fence, f'{{"current":{current}}}'))
                await asyncio.sleep(0)
            await until(lambda: reader.events[-1].data.get("current") == 999, what="the newest to arrive")
            bench.settle("r", fence)
            return await reader.wait_for_end(), time.monotonic() - began

    reader, seconds = asyncio.run(follow())
    # One per tenth of a second.
    assert reader.names.count("progress") <= seconds * 10 + 2


def test_a_wait_ends_with_the_run_and_not_before(bench: Bench) -> None:
    async def follow() -> list[float]:
        late = []
        async with gateway_parts_of(bench) as parts:
            for number in range(30):
                uid = f"r-{number}"
                fence = bench.start(uid)
                wait = await parts.wait(uid, seconds=60)
                bench.ledger.run(commands.progress(uid, fence, "{}"))
                await asyncio.sleep(0.01)
                assert not wait.done()
                ended = time.monotonic()
                bench.settle(uid, fence)
                record = await wait
                late.append(time.monotonic() - ended)
                assert record is not None
                assert record.phase is Phase.SUCCEEDED
        return late

    late = statistics.median(asyncio.run(follow()))
    print(f"a wait ends {late * 1000:.1f} ms after the run")
    # One event and one read. Polling would need half of its interval on average.
    assert late < LOOK_AGAIN_SECONDS / 10


def test_a_wait_ends_at_its_deadline_with_the_newest_record(bench: Bench) -> None:
    async def follow() -> None:
        async with gateway_parts_of(bench) as parts:
            fence = bench.start("r")
            bench.start("s")
            longer = await parts.wait("s", seconds=60)
            began = time.monotonic()
            wait = await parts.wait("r", seconds=3)
            bench.ledger.run(commands.progress("r", fence, '{"current":1}'))
            record = await wait
            assert time.monotonic() - began >= 3
            assert not longer.done()
            assert record is not None
            assert record.phase is Phase.RUNNING
            assert record.progress_json == '{"current":1}'
            assert parts.follower.watched_runs == 1
            longer.cancel()
            await asyncio.wait([longer])
            assert parts.follower.watched_runs == 0

    asyncio.run(follow())


def test_a_wait_for_a_finished_or_unknown_run_returns_at_once(bench: Bench) -> None:
    async def follow() -> None:
        async with gateway_parts_of(bench) as parts:
            bench.settle("r", bench.start("r"))
            began = time.monotonic()
            record = await final_record(parts.ledger, parts.follower, "r", wait_seconds=60)
            assert record is not None
            assert record.phase is Phase.SUCCEEDED
            assert await final_record(parts.ledger, parts.follower, "nobody", wait_seconds=60) is None
            assert time.monotonic() - began < 60

    asyncio.run(follow())


def test_a_client_that_disconnects_leaves_nothing_behind(bench: Bench) -> None:
    async def follow() -> None:
        async with gateway_parts_of(bench) as parts:
            bench.start("r")
            tasks_before = len(asyncio.all_tasks())
            leaving, broken_off = await parts.read("r"), await parts.read("r")
            at_once = await parts.read("r")
            at_once.task.cancel()
            wait = asyncio.create_task(final_record(parts.ledger, parts.follower, "r", wait_seconds=30))
            await leaving.wait_for(2)
            await broken_off.wait_for(2)
            assert parts.follower.watched_runs == 1
            await leaving.leave()
            broken_off.task.cancel()
            wait.cancel()
            await asyncio.wait([broken_off.task, wait, at_once.task])
            assert parts.follower.watched_runs == 0
            await until(lambda: len(asyncio.all_tasks()) == tasks_before, what="all tasks to end")

    asyncio.run(follow())


def test_a_stream_ends_when_its_run_is_deleted(bench: Bench) -> None:
    async def follow() -> StreamReader:
        async with gateway_parts_of(bench) as parts:
            bench.start("r")
            reader = await parts.read("r")
            await reader.wait_for(2)
            bench.ledger.run(commands.delete("r"))
            return await reader.wait_for_end()

    assert asyncio.run(follow()).names == ["phase", "phase"]


def test_a_gateway_that_stops_ends_all_streams_and_waits(bench: Bench) -> None:
    async def follow() -> None:
        async with gateway_parts_of(bench) as parts:
            bench.start("r")
            reader = await parts.read("r")
            wait = asyncio.create_task(final_record(parts.ledger, parts.follower, "r", wait_seconds=120))
            await reader.wait_for(2)
            parts.follower.dismiss()
            await reader.wait_for_end()
            record = await asyncio.wait_for(wait, timeout=30)
            assert record is not None
            assert record.phase is Phase.RUNNING
            late = await parts.read("r")
            await late.wait_for_end()

    asyncio.run(follow())


def test_a_stream_stays_open_during_an_outage_and_continues_after_it(
    own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "KEEP_ALIVE_SECONDS", 0.1)

    async def follow() -> StreamReader:
        hand = Hand(own_valkey.url)
        async with gateway_parts(own_valkey.url) as parts:
            fence = hand.bench.start("r")
            reader = await parts.read("r")
            wait = await parts.wait("r", seconds=120)
            await reader.wait_for(2)
            own_valkey.kill()
            await until(lambda: not parts.follower.is_following, what="the follower to see the outage")
            so_far = reader.keep_alives
            await until(lambda: reader.keep_alives > so_far + 5, what="keep-alives to continue")
            assert not wait.done()
            with pytest.raises(LedgerError):
                await final_record(parts.ledger, parts.follower, "r", wait_seconds=60)
            await asyncio.to_thread(own_valkey.start)
            hand.say(commands.settle("r", fence, SUCCEEDED))
            await reader.wait_for_end()
            record = await asyncio.wait_for(wait, timeout=60)
            assert record is not None
            assert record.phase is Phase.SUCCEEDED
        hand.bench.ledger.client.close()
        return reader

    assert asyncio.run(follow()).names == ["phase", "phase", "finished"]


def test_a_hanging_redis_is_detected_and_missed_changes_are_sent(own_valkey: ValkeyServer) -> None:
    async def follow() -> StreamReader:
        hand = Hand(own_valkey.url)
        async with gateway_parts(own_valkey.url) as parts:
            fence = hand.bench.start("r")
            reader = await parts.read("r")
            await reader.wait_for(2)
            with frozen(own_valkey.pid):
                await until(lambda: not parts.follower.is_following, what="the hang to be detected")
            hand.say(commands.settle("r", fence, SUCCEEDED))
            await reader.wait_for_end()
        hand.bench.ledger.client.close()
        return reader

    assert asyncio.run(follow()).names == ["phase", "phase", "finished"]


def test_a_wait_that_ends_during_an_outage_fails_with_ledger_unavailable(own_valkey: ValkeyServer) -> None:
    async def follow() -> None:
        hand = Hand(own_valkey.url)
        async with gateway_parts(own_valkey.url) as parts:
            hand.bench.start("r")
            wait = await parts.wait("r", seconds=3)
            assert parts.follower.watched_runs == 1
            own_valkey.kill()
            assert not wait.done()
            with pytest.raises(LedgerUnavailable):
                await wait
        hand.bench.ledger.client.close()

    asyncio.run(follow())


@pytest.mark.parametrize("something_follows", [False, True])
def test_a_change_that_was_trimmed_before_it_was_read_still_wakes_watchers(
    bench: Bench, something_follows: bool
) -> None:
    async def follow() -> list[StreamReader]:
        async with gateway_parts_of(bench) as parts:
            fences = {uid: bench.start(uid) for uid in ("r", "s")}
            readers = [await parts.read(uid) for uid in fences]
            # The second one starts with an empty stream.
            for (uid, fence), reader in zip(fences.items(), readers, strict=True):
                await reader.wait_for(2)
                with bench.ledger.client.pipeline() as pipeline:
                    pipeline.execute_command(*commands.settle(uid, fence, SUCCEEDED).words("kelery"))
                    pipeline.xtrim("kelery:events", maxlen=0, approximate=False)
                    if something_follows:
                        other = bench.submission(f"after-{uid}")
                        pipeline.execute_command(*commands.submit(other).words("kelery"))
                    pipeline.execute()
                await reader.wait_for_end()
            return readers

    assert [reader.names[-1] for reader in asyncio.run(follow())] == ["finished", "finished"]


def test_a_ledger_that_lost_its_data_ends_the_streams(bench: Bench) -> None:
    async def follow() -> StreamReader:
        async with gateway_parts_of(bench) as parts:
            bench.start("r")
            reader = await parts.read("r")
            await reader.wait_for(2)
            bench.ledger.client.flushall()
            return await reader.wait_for_end()

    assert asyncio.run(follow()).names == ["phase", "phase"]


def test_an_unreadable_entry_does_not_stop_the_follower(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    async def follow() -> StreamReader:
        async with gateway_parts_of(bench) as parts:
            fence = bench.start("r")
            reader = await parts.read("r")
            await reader.wait_for(2)
            bench.ledger.client.xadd("kelery:events", {"uid": "r", "phase": "FromTheFuture"})
            await until(lambda: caplog.records, what="a log line")
            bench.settle("r", fence)
            return await reader.wait_for_end()

    assert asyncio.run(follow()).names == ["phase", "phase", "finished"]


def test_changes_of_unwatched_runs_wake_no_watcher(bench: Bench) -> None:
    async def follow() -> None:
        async with gateway_parts_of(bench) as parts:
            with parts.follower.watch("r") as subscription, parts.follower.watch("r") as other:
                # After the first change of an empty stream, it cannot know yet whether it missed any.
                bench.start("before")
                while await subscription.changed(within=0.5):
                    continue
                for number in range(50):
                    bench.settle(f"n-{number}", bench.start(f"n-{number}"))
                assert not await subscription.changed(within=0.2)
                bench.start("r")
                assert await subscription.changed(within=30)
                # Earlier changes wake it at once.
                assert await other.changed(within=0)

    asyncio.run(follow())


def gateway_parts_of(bench: Bench) -> AbstractAsyncContextManager[Parts]:
    """The services, on the server of the bench."""
    where = bench.ledger.client.connection_pool.connection_kwargs
    return gateway_parts(f"redis://{where['host']}:{where['port']}/0")
