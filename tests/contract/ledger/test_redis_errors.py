"""Callers get Redis failures as Kelery's own errors. Calls work again when Redis is back."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from kelery.errors import LedgerUnavailable, RunConflict
from kelery.ledger import async_client, commands, sync_client
from kelery_dev.stack.valkey import ValkeyServer
from tests.support.ledger_bench import Bench, keyed


def _load_anew(ledger: sync_client.Ledger) -> None:
    """Flush the functions of a replica, then load the library into it."""
    ledger.client.replicaof("NO", "ONE")
    ledger.client.function_flush()
    ledger.client.replicaof("127.0.0.1", "1")
    ledger.load_library()


#: The ways in which a ledger writes.
WRITES = [
    pytest.param(lambda own: own.submit("b"), id="a call"),
    pytest.param(lambda own: own.ledger.run_all([commands.submit(own.submission("b"))]), id="calls in one"),
    pytest.param(lambda own: _load_anew(own.ledger), id="the library"),
]


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    """A persistent server for one test, which may stop or break it."""
    with ValkeyServer(durable=True) as server:
        yield server


@pytest.fixture
def own(server: ValkeyServer) -> Iterator[Bench]:
    """The ledger on that server."""
    with sync_client.connect(server.url, timeout_seconds=1, client_name="fault-tests") as client:
        yield Bench(sync_client.Ledger(client, prefix="kelery"))


def test_a_server_that_is_gone_is_unavailable_and_its_data_are_there_when_it_is_back(
    server: ValkeyServer, own: Bench
) -> None:
    fence = own.start("a", concurrency=keyed())
    server.kill()
    for call in (lambda: own.state("a"), lambda: own.submit("b"), own.ledger.load_library):
        with pytest.raises(LedgerUnavailable, match="did not answer"):
            call()
    with pytest.raises(LedgerUnavailable):
        own.ledger.run_all([commands.submit(own.submission("b"))])
    server.start()
    assert own.settle("a", fence).verdict == "ok"


def test_a_connection_that_the_server_closed_meanwhile_is_not_noticed(
    own: Bench, server: ValkeyServer
) -> None:
    own.submit("a")
    server.kill()
    server.start()
    assert own.state("a") == "Admitted/WaitingForWorker"


def test_a_server_that_does_not_answer_in_time_is_unavailable(own: Bench, server: ValkeyServer) -> None:
    own.submit("a")
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(LedgerUnavailable, match="did not answer"):
            own.state("a")
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert own.state("a") == "Admitted/WaitingForWorker"


def test_a_server_that_may_only_read_is_unavailable(own: Bench) -> None:
    own.submit("a")
    own.ledger.client.replicaof("127.0.0.1", "1")
    with pytest.raises(LedgerUnavailable, match="Redis refused"):
        own.submit("b")
    (answer,) = own.ledger.run_all([commands.submit(own.submission("b"))])
    assert isinstance(answer, LedgerUnavailable)
    own.ledger.client.replicaof("NO", "ONE")
    assert own.submit("b") == "Admitted/WaitingForWorker"


@pytest.mark.parametrize("try_to_write", WRITES)
def test_a_server_that_may_only_read_is_left_for_the_one_its_address_leads_to_now(
    own: Bench, try_to_write: Callable[[Bench], object]
) -> None:
    own.ledger.load_library()
    connection = own.ledger.client.client_id()
    own.ledger.client.replicaof("127.0.0.1", "1")
    with suppress(LedgerUnavailable):
        try_to_write(own)
    assert own.ledger.client.client_id() != connection


def test_the_asynchronous_caller_leaves_it_too(server: ValkeyServer, own: Bench) -> None:
    async def check() -> None:
        connection = async_client.connect(server.url, timeout_seconds=1, client_name="fault-tests")
        ledger = async_client.Ledger(connection, prefix="kelery")
        try:
            before = await connection.client_id()
            await connection.replicaof("127.0.0.1", "1")
            (answer,) = await ledger.run_all([commands.submit(own.submission("b"))])
            assert isinstance(answer, LedgerUnavailable)
            assert await connection.client_id() != before
        finally:
            await connection.aclose()

    own.submit("a")
    asyncio.run(check())


def test_calls_in_one_round_trip_without_a_library_that_could_be_loaded_are_refused_as_one(
    own: Bench,
) -> None:
    own.submit("a")
    own.ledger.client.function_flush()
    own.ledger.client.replicaof("127.0.0.1", "1")
    with pytest.raises(LedgerUnavailable, match="Redis refused"):
        own.ledger.run_all([commands.submit(own.submission("b"))])
    own.ledger.client.replicaof("NO", "ONE")
    assert own.submit("b") == "Admitted/WaitingForWorker"


def test_a_full_server_refuses_new_runs_and_ends_the_old_ones(own: Bench) -> None:
    fence = own.start("a", concurrency=keyed())
    own.submit("b", concurrency=keyed())
    own.ledger.client.config_set("maxmemory", "1")
    with pytest.raises(LedgerUnavailable, match="Redis refused"):
        own.submit("c")
    assert own.settle("a", fence).verdict == "ok"
    assert own.claim("b") > fence
    assert own.cancel("b")
    own.tick()


def test_wrong_credentials_are_reported_without_showing_them(server: ValkeyServer, own: Bench) -> None:
    own.ledger.client.config_set("requirepass", "right")
    url = server.url.replace("redis://", "redis://:s3cret@")
    with (
        sync_client.connect(url, timeout_seconds=1, client_name="fault-tests") as client,
        pytest.raises(LedgerUnavailable, match="credentials") as refused,
    ):
        Bench(sync_client.Ledger(client, prefix="kelery")).submit("a")
    assert "s3cret" not in str(refused.value)


def test_one_call_of_many_that_fails_does_not_keep_the_others_from_being_made(bench: Bench) -> None:
    bench.submit("a", args=(1,))
    submissions = [bench.submission("a", args=(2,)), bench.submission("b")]
    conflict, submitted = bench.ledger.run_all([commands.submit(submission) for submission in submissions])
    assert isinstance(conflict, RunConflict)
    assert not isinstance(submitted, Exception)
    assert bench.state("b") == "Admitted/WaitingForWorker"


def test_the_first_call_of_many_that_fails_is_raised_after_all_were_made(
    valkey_url: str, bench: Bench
) -> None:
    async def check() -> None:
        connection = async_client.connect(valkey_url, timeout_seconds=10, client_name="fault-tests")
        ledger = async_client.Ledger(connection, prefix="kelery")
        conflict, other = (
            commands.submit(bench.submission("a", args=(2,))),
            commands.submit(bench.submission("b")),
        )
        try:
            with pytest.raises(RunConflict):
                await ledger.run_each([conflict, other])
            with pytest.raises(RunConflict):
                await ledger.run_both(conflict, commands.submit(bench.submission("c")))
            again, history = await ledger.run_both(other, commands.history("b"))
            assert (again.new, len(history)) == (False, 1)
        finally:
            await connection.aclose()

    bench.submit("a", args=(1,))
    asyncio.run(check())
    assert bench.state("c") == "Admitted/WaitingForWorker"


def test_the_asynchronous_caller_says_the_same(server: ValkeyServer, own: Bench) -> None:
    async def check() -> None:
        connection = async_client.connect(server.url, timeout_seconds=1, client_name="fault-tests")
        ledger = async_client.Ledger(connection, prefix="kelery")
        submit = commands.submit(own.submission("a"))
        try:
            await ledger.run(submit)
            server.kill()
            for attempt in (ledger.run(submit), ledger.run_all([submit]), ledger.load_library()):
                with pytest.raises(LedgerUnavailable, match="did not answer"):
                    await attempt
            server.start()
            assert not (await ledger.run(submit)).new
            await connection.replicaof("127.0.0.1", "1")
            with pytest.raises(LedgerUnavailable, match="Redis refused"):
                await ledger.run(commands.submit(own.submission("b")))
        finally:
            await connection.aclose()

    asyncio.run(check())
