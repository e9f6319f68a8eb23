"""The function library is loaded where it is missing or old, and never replaces a newer one."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
import redis

from kelery.errors import LedgerError, RunConflict
from kelery.ledger import async_client, commands, library, records, redis_errors, sync_client
from kelery.ledger import client as client_module
from kelery.ledger.commands import Call
from kelery.ledger.types import Submitted
from tests.support.ledger_bench import Bench

Answers = list[Submitted | LedgerError]
#: `run_all` of one of the two callers on a server: its answers to these calls.
RunAll = Callable[[str, list[Call[Submitted]]], Answers]

NEWER = library.REVISION + 1
NEWER_SOURCE = library.SOURCE.replace(f"local REVISION = {library.REVISION}\n", f"local REVISION = {NEWER}\n")


@pytest.fixture
def newer_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside the block, this process is of the next version."""
    with monkeypatch.context() as patch:
        patch.setattr(client_module, "SOURCE", NEWER_SOURCE)
        patch.setattr(client_module, "REVISION", NEWER)
        patch.setattr(commands, "REVISION", NEWER)
        yield


def _blocking(url: str, batch: list[Call[Submitted]]) -> Answers:
    with sync_client.connect(url, timeout_seconds=10, client_name="ledger-tests") as connection:
        return sync_client.Ledger(connection, prefix="kelery").run_all(batch)


def _asynchronous(url: str, batch: list[Call[Submitted]]) -> Answers:
    async def run_all() -> Answers:
        connection = async_client.connect(url, timeout_seconds=10, client_name="ledger-tests")
        try:
            return await async_client.Ledger(connection, prefix="kelery").run_all(batch)
        finally:
            await connection.aclose()

    return asyncio.run(run_all())


both_callers = pytest.mark.parametrize("run_all", [_blocking, _asynchronous])


def test_each_lua_file_is_a_part_of_the_library() -> None:
    assert sorted(library.PARTS) == sorted(path.name for path in library.FOLDER.iterdir())
    assert library.SOURCE.startswith("#!lua name=kelery_v1\n")


def test_the_first_call_of_all_loads_the_library(client: redis.Redis, bench: Bench) -> None:
    assert _loaded(client) is None
    bench.submit("a")
    assert _loaded(client) == library.REVISION


def test_calls_in_one_round_trip_load_it_too_and_all_are_made(client: redis.Redis, bench: Bench) -> None:
    answers = bench.ledger.run_all([commands.submit(bench.submission(uid)) for uid in ("a", "b")])
    assert [isinstance(answer, LedgerError) for answer in answers] == [False, False]
    assert bench.pushed() == ["a:1", "b:1"]


@both_callers
def test_where_calls_in_one_round_trip_load_it_one_that_fails_does_not_keep_the_others_from_being_made(
    run_all: RunAll, valkey_url: str, client: redis.Redis, bench: Bench
) -> None:
    bench.submit("a", args=(1,))
    client.function_flush()
    submissions = [bench.submission("b"), bench.submission("a", args=(2,)), bench.submission("c")]
    first, conflict, last = run_all(valkey_url, [commands.submit(submission) for submission in submissions])
    assert isinstance(conflict, RunConflict)
    assert [isinstance(answer, Submitted) for answer in (first, last)] == [True, True]
    assert bench.pushed() == ["a:1", "b:1", "c:1"]


def test_a_flush_of_all_functions_heals_and_loses_nothing(client: redis.Redis, bench: Bench) -> None:
    fence = bench.start("a")
    client.function_flush()
    assert bench.settle("a", fence).verdict == "ok"
    assert _loaded(client) == library.REVISION


def test_loading_twice_does_no_harm(client: redis.Redis, bench: Bench) -> None:
    bench.ledger.load_library()
    bench.ledger.load_library()
    assert _loaded(client) == library.REVISION


@pytest.mark.usefixtures("newer_process")
def test_a_newer_process_replaces_an_older_library(client: redis.Redis, bench: Bench) -> None:
    client.function_load(library.SOURCE)
    assert bench.submit("a") == "Admitted/WaitingForWorker"
    assert _loaded(client) == NEWER


def test_an_older_process_works_on_with_a_newer_library_and_leaves_it(
    client: redis.Redis, bench: Bench
) -> None:
    fence = bench.start("a")
    client.function_load(NEWER_SOURCE, replace=True)
    bench.ledger.load_library()
    assert bench.settle("a", fence).verdict == "ok"
    assert _loaded(client) == NEWER


def test_both_versions_work_side_by_side(
    client: redis.Redis, bench: Bench, request: pytest.FixtureRequest
) -> None:
    fence = bench.start("a")
    request.getfixturevalue("newer_process")
    bench.submit("b")
    assert _loaded(client) == NEWER
    assert bench.settle("a", fence).verdict == "ok"


def test_a_process_of_the_first_revision_gets_records_as_it_knows_them(
    client: redis.Redis, bench: Bench
) -> None:
    bench.submit("a")
    ((*scalars, attempts, held_by),) = client.fcall("kelery_v1_view", 1, "kelery", 1, 1024, "a")
    assert (len(scalars), attempts, held_by) == (27, [], [])
    assert scalars[:2] == ["Admitted", "WaitingForWorker"]


def test_what_a_later_revision_adds_to_a_record_is_passed_over(client: redis.Redis, bench: Bench) -> None:
    bench.submit("a")
    (values,) = client.fcall("kelery_v1_view", 1, "kelery", library.REVISION, 1024, "a")
    assert records.parse("a", [*values, "new", ["and", "more"]]) == bench.record("a")


def test_an_older_process_that_lost_a_race_for_the_load_does_not_overwrite(
    client: redis.Redis, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = client_module.LedgerClient._loaded_revision
    looks: list[int] = []

    async def looking(ledger: client_module.LedgerClient) -> int:
        """A newer process loads between this process's check and its load."""
        seen = await look(ledger)
        if not looks:
            other = sync_client.Ledger(client, prefix="kelery")
            other.client.function_load(NEWER_SOURCE, replace=True)
            other.client.set(library.GUARD_KEY, NEWER)
        looks.append(seen)
        return seen

    monkeypatch.setattr(client_module.LedgerClient, "_loaded_revision", looking)
    bench.ledger.load_library()
    assert looks == [0, NEWER]
    assert _loaded(client) == NEWER


def test_a_library_that_cannot_be_brought_up_to_date_is_an_error_and_no_endless_loop(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "REVISION", NEWER)
    with pytest.raises(redis_errors.LibraryMissing):
        bench.submit("a")


@both_callers
def test_that_error_is_among_the_answers_of_calls_in_one_round_trip(
    run_all: RunAll, valkey_url: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "REVISION", NEWER)
    answers = run_all(valkey_url, [commands.submit(bench.submission(uid)) for uid in ("a", "b")])
    assert [type(answer) for answer in answers] == [redis_errors.LibraryMissing, redis_errors.LibraryMissing]


def test_the_asynchronous_caller_does_all_of_that_too(
    valkey_url: str, client: redis.Redis, bench: Bench
) -> None:
    async def check() -> None:
        connection = async_client.connect(valkey_url, timeout_seconds=10, client_name="ledger-tests")
        ledger = async_client.Ledger(connection, prefix="kelery")
        try:
            submitted = await ledger.run(commands.submit(bench.submission("a")))
            assert submitted.new
            client.function_flush()
            submit: list[Call[Submitted]] = [commands.submit(bench.submission(uid)) for uid in ("a", "b")]
            answers = await ledger.run_all(submit)
            assert not any(isinstance(answer, LedgerError) for answer in answers)
            client.function_load(NEWER_SOURCE, replace=True)
            await ledger.load_library()
            assert _loaded(client) == NEWER
        finally:
            await connection.aclose()

    asyncio.run(check())
    assert bench.pushed() == ["a:1", "b:1"]


def _loaded(client: redis.Redis) -> int | None:
    """The revision of the loaded library; None if there is none."""
    try:
        return int(client.fcall("kelery_v1_revision", 0))
    except redis.ResponseError:
        return None
