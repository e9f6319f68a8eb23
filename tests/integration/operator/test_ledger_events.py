"""What the operator does about changes that its reading of the ledger's stream cannot show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from kelery.ledger import async_client, commands, sync_client
from kelery_dev.stack.valkey import ValkeyServer
from kelery_operator.runtime.workqueue import WorkQueue
from kelery_operator.taskrun.ledger_events import LedgerEvents
from kelery_operator.taskrun.queue_positions import QueuePositions
from kelery_operator.taskrun.run_state import RunStates
from tests.support.ledger_bench import CLUSTER, SUCCEEDED, Bench
from tests.support.polling import poll_until

#: Long enough for a slow machine; the resync, which would find it too, comes each minute.
PROMPTLY_SECONDS = 30.0


@pytest.fixture
def bench(ledger: sync_client.Ledger) -> Bench:
    """The ledger, and a worker played by hand."""
    return Bench(ledger)


def end_unseen(bench: Bench, fence: int, *, something_follows: bool) -> None:
    """End run "a" and trim its change in one step, so that no reader sees it."""
    with bench.ledger.client.pipeline() as pipeline:
        pipeline.execute_command(*commands.settle("a", fence, SUCCEEDED).words("kelery"))
        pipeline.xtrim("kelery:events", maxlen=0, approximate=False)
        if something_follows:
            pipeline.execute_command(*commands.submit(bench.submission("b")).words("kelery"))
        pipeline.execute()


@asynccontextmanager
async def follower_of(url: str) -> AsyncIterator[tuple[LedgerEvents, WorkQueue[str]]]:
    """The operator's follower before its start, and the queued runs. It knows "a"."""
    client = async_client.connect(url, timeout_seconds=5, client_name="test")
    ledger, states, queue = async_client.Ledger(client, prefix="kelery"), RunStates(), WorkQueue[str]()
    states.put(states.read({"metadata": {"uid": "a", "namespace": "team", "name": "a"}}))
    positions = QueuePositions(ledger, states=states, queue=queue)
    try:
        yield LedgerEvents(ledger, cluster=CLUSTER, states=states, queue=queue, positions=positions), queue
    finally:
        await client.aclose()


@asynccontextmanager
async def following(follower: LedgerEvents) -> AsyncIterator[None]:
    """Within it the follower runs."""
    running = asyncio.create_task(follower.run())
    try:
        await asyncio.sleep(0.2)
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


def looked_at_after(happening: Callable[[], object], *, url: str) -> list[str]:
    """The runs that are queued after `happening`. None was queued before."""

    async def follow() -> list[str]:
        async with follower_of(url) as (follower, queue):
            await follower.begin()
            async with following(follower):
                assert len(queue) == 0
                await asyncio.to_thread(happening)
                async with asyncio.timeout(PROMPTLY_SECONDS):
                    return await queue.take()

    return asyncio.run(follow())


@pytest.mark.parametrize("something_follows", [False, True])
def test_a_change_that_was_trimmed_away_before_it_could_be_read_is_looked_at_promptly(
    bench: Bench, valkey_url: str, something_follows: bool
) -> None:
    fence = bench.start("a")
    found = looked_at_after(
        lambda: end_unseen(bench, fence, something_follows=something_follows), url=valkey_url
    )
    assert found == ["a"]


def test_a_ledger_that_lost_its_data_is_compared_promptly(bench: Bench, valkey_url: str) -> None:
    bench.start("a")
    assert looked_at_after(bench.ledger.client.flushall, url=valkey_url) == ["a"]


@pytest.mark.parametrize("begins_in_outage", [False, True])
def test_what_changed_in_an_outage_is_looked_at(own_valkey: ValkeyServer, begins_in_outage: bool) -> None:
    async def follow() -> list[str]:
        async with follower_of(own_valkey.url) as (follower, queue):
            if begins_in_outage:
                own_valkey.kill()
            await follower.begin()
            async with following(follower):
                assert len(queue) == 0
                own_valkey.kill()
                await asyncio.to_thread(
                    poll_until, lambda: not follower.is_following, seconds=PROMPTLY_SECONDS, what="the outage"
                )
                await asyncio.to_thread(own_valkey.start)
                async with asyncio.timeout(PROMPTLY_SECONDS):
                    return await queue.take()

    assert asyncio.run(follow()) == ["a"]
