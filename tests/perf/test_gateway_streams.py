"""A thousand watchers of idle runs: their cost, and that all get the final event."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kelery.ledger import sync_client
from tests.support.gateway_process import GatewayProcess
from tests.support.ledger_bench import Bench

STREAMS = 1000
#: Long enough for one keep-alive of each stream.
IDLE_SECONDS = 16.0
_MIB = 2**20


@pytest.fixture
def many_files() -> Iterator[None]:
    """Enough file descriptors for both ends of the streams. Subprocesses inherit the limit."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[1], 8192), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Watcher:
    """A client of one stream, with its own connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.text = ""

    @classmethod
    async def open(cls, gateway: GatewayProcess, uid: str) -> Watcher:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        path = f"/v1/namespaces/team/taskruns/{uid}/events"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{gateway.port}\r\n\r\n".encode())
        return cls(reader, writer)

    async def read_until(self, word: str) -> None:
        """Read until this text has arrived."""
        while word not in self.text:
            content = await asyncio.wait_for(self._reader.read(65536), timeout=60)
            assert content, f"the stream ended without {word!r}: {self.text[-500:]}"
            self.text += content.decode()

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


def test_a_thousand_idle_streams_cost_little_memory_and_no_busy_processor(
    many_files: None, valkey_url: str, tmp_path: Path
) -> None:
    uids = [f"run-{number}" for number in range(STREAMS)]
    with sync_client.connect(valkey_url, timeout_seconds=10, client_name="bench") as client:
        bench = Bench(sync_client.Ledger(client, prefix="kelery"))
        bench.submit_all(uids)
        gateway = GatewayProcess({"KELERY_REDIS_URL": valkey_url}, log=tmp_path / "gateway.log")
        try:
            gateway.wait_until_ready()
            asyncio.run(watch(gateway, bench, uids))
        finally:
            gateway.kill()


async def watch(gateway: GatewayProcess, bench: Bench, uids: list[str]) -> None:
    process = psutil.Process(gateway.pid)
    memory_before = process.memory_info().rss
    watchers = []
    for uid in uids:
        watcher = await Watcher.open(gateway, uid)
        await watcher.read_until("WaitingForWorker")
        watchers.append(watcher)
    began, used = time.monotonic(), sum(process.cpu_times()[:2])
    await asyncio.sleep(IDLE_SECONDS)
    busy = (sum(process.cpu_times()[:2]) - used) / (time.monotonic() - began)
    memory = process.memory_info().rss
    await asyncio.gather(*(watcher.read_until(": keep-alive") for watcher in watchers))
    fences = {uid: await asyncio.to_thread(bench.claim, uid) for uid in uids}
    began = time.monotonic()
    for uid, fence in fences.items():
        await asyncio.to_thread(bench.settle, uid, fence)
    await asyncio.gather(*(watcher.read_until("event: finished") for watcher in watchers))
    took = time.monotonic() - began
    for watcher in watchers:
        await watcher.close()
    each = (memory - memory_before) / STREAMS / 1024
    print(
        f"{STREAMS} idle streams: {memory / _MIB:.0f} MiB ({each:.1f} KiB each), {busy:.1%} of a processor;"
        f" all ended and told in {took:.1f} s"
    )
    assert memory <= 150e6
    assert busy < 0.25
    for watcher in watchers:
        assert watcher.text.count("event: phase") <= 2
        assert watcher.text.count("event: finished") == 1
