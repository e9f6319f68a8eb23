"""The ticker of operator and gateway: reclaims unchanged leases, keeps renewed ones, and reports both."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from kelery.errors import LedgerError
from kelery.ledger import async_client, commands
from kelery.ledger.ticker import LedgerTicker
from kelery_dev.stack.valkey import ValkeyServer
from tests.support.ledger_bench import WORKER, Bench

_STAND_STILL = 1.5


class Watched:
    """A running ticker, and its reports."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.reclaims: list[bool] = []
        self.ticks: list[LedgerError | None] = []

    async def work_until(self, is_enough: Callable[[], bool], *, meanwhile: Callable[[], object]) -> None:
        client = async_client.connect(self.url, timeout_seconds=0.5, client_name="ticker-test")
        keeper = LedgerTicker(
            async_client.Ledger(client, prefix="kelery"),
            stand_still=_STAND_STILL,
            on_reclaim=self.reclaims.append,
            on_tick=self.ticks.append,
        )
        working = asyncio.create_task(keeper.run())
        try:
            async with asyncio.timeout(20):
                while not is_enough():
                    meanwhile()
                    await asyncio.sleep(0.1)
        finally:
            working.cancel()
            await asyncio.wait([working])
            await client.aclose()


def test_a_claim_that_stands_still_is_taken_and_one_that_moves_is_not(bench: Bench, valkey_url: str) -> None:
    lost, alive = bench.start("lost"), bench.start("alive")
    assert lost != alive
    watched = Watched(valkey_url)

    def renew() -> None:
        bench.ledger.run(commands.renew(WORKER, [("alive", alive)]))

    asyncio.run(watched.work_until(lambda: bool(watched.reclaims), meanwhile=renew))
    assert watched.reclaims == [True]
    assert bench.state("lost") == "Failed/WorkerLost"
    assert bench.state("alive").startswith("Running/")


def test_it_reports_an_outage_and_its_end() -> None:
    with ValkeyServer() as server:
        watched = Watched(server.url)
        frozen = False

        def freeze_then_thaw() -> None:
            nonlocal frozen
            if not frozen and None in watched.ticks:
                os.kill(server.pid, signal.SIGSTOP)
                frozen = True
            elif frozen and watched.ticks[-1] is not None:
                os.kill(server.pid, signal.SIGCONT)

        def is_over() -> bool:
            return any(watched.ticks) and watched.ticks[-1] is None

        try:
            asyncio.run(watched.work_until(is_over, meanwhile=freeze_then_thaw))
        finally:
            os.kill(server.pid, signal.SIGCONT)
    assert not watched.reclaims
