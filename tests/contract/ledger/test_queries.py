"""Queries of the ledger: lists in pages, keys, queues, workers, and a run's history."""

import time
from dataclasses import replace
from typing import Any

import pytest

from kelery.ledger import commands, queries
from kelery.run.model import CancelMode, QueueUse, Retry
from kelery.run.phases import Phase, Reason
from tests.support.ledger_bench import CLUSTER, Bench, failed, keyed

RUNS = "kelery:runs:team"
HOUR = 3600 * 1_000_000


def page(
    bench: Bench, *, at_most: int | None = None, offset: int = 0, count: int = 3
) -> list[tuple[str, int]]:
    call = queries.newest("team", at_most=at_most, at_least=0, offset=offset, count=count)
    return bench.ledger.run(call)


def pages(bench: Bench, *, count: int) -> list[str]:
    """All runs. Each page starts at the oldest time of the page before, and skips its runs of that time."""
    seen: list[str] = []
    at_most, offset = None, 0
    while found := page(bench, at_most=at_most, offset=offset, count=count):
        seen += [uid for uid, _ in found]
        oldest = found[-1][1]
        same = sum(at == oldest for _, at in found)
        offset = same + (offset if oldest == at_most else 0)
        at_most = oldest
    return seen


def test_runs_are_listed_newest_first_with_when_they_were_submitted(bench: Bench) -> None:
    for uid in ("a", "b", "c", "d"):
        bench.submit(uid)
    assert [uid for uid, _ in page(bench)] == ["d", "c", "b"]
    assert page(bench)[0] == ("d", bench.record("d").queued_at)
    assert page(bench, at_most=bench.record("b").queued_at) == [
        (uid, bench.record(uid).queued_at) for uid in ("b", "a")
    ]


def test_no_page_leaves_out_or_repeats_runs_of_the_same_moment(bench: Bench) -> None:
    uids = [f"r{number:02}" for number in range(20)]
    bench.submit_all(uids)
    # Three creation times. One has more runs than two pages.
    moments = {uid: HOUR + (number > 2) + (number > 16) for number, uid in enumerate(uids)}
    bench.ledger.client.zadd(RUNS, moments)
    for count in (1, 3, 7, 20, 50):
        seen = pages(bench, count=count)
        assert sorted(seen) == uids
        assert [moments[uid] for uid in seen] == sorted(moments.values(), reverse=True)


def test_a_list_ends_where_it_is_asked_to(bench: Bench) -> None:
    bench.submit_all(["a", "b", "c"])
    bench.ledger.client.zadd(RUNS, {"a": 10, "b": 20, "c": 30})
    call = queries.newest("team", at_most=29, at_least=20, offset=0, count=9)
    assert bench.ledger.run(call) == [("b", 20)]


def test_a_purged_run_is_in_no_list(bench: Bench) -> None:
    bench.settle("a", bench.start("a", concurrency=keyed()))
    bench.ledger.run(commands.acknowledge("a", retain_seconds=60))
    assert [uid for uid, _ in page(bench)] == ["a"]
    assert bench.ledger.run(queries.brief("a")) is not None
    bench.make_due("purge", "a")
    bench.tick()
    assert page(bench) == []
    assert bench.ledger.run(queries.brief("a")) is None
    assert bench.ledger.run(queries.uid_of_name("team", "run-a")) is None
    assert latest(bench) is None


def test_a_brief_says_the_same_as_the_record(bench: Bench) -> None:
    bench.start("a", concurrency=keyed())
    for uid in ("b", "unkeyed"):
        bench.submit(uid, **({"concurrency": keyed()} if uid == "b" else {}))
    for uid in ("a", "b", "unkeyed"):
        brief, record = bench.ledger.run(queries.brief(uid)), bench.record(uid)
        assert brief is not None
        fields = ("uid", "name", "phase", "reason", "task", "key", "queued_at", "admitted_at")
        assert [getattr(brief, one) for one in fields] == [getattr(record, one) for one in fields]


def test_a_name_means_its_newest_run_and_then_the_live_one(bench: Bench) -> None:
    def whom() -> str | None:
        return bench.ledger.run(queries.uid_of_name("team", "report"))

    def submit(uid: str, **changes: Any) -> None:
        bench.ledger.run(commands.submit(replace(bench.submission(uid), name="report", **changes)))

    submit("ended", born_final=Reason.CANCELLED_AT_CREATE)
    submit("first")
    submit("second")
    submit("third")
    assert whom() == "third"
    for uid, then in (("third", "second"), ("first", "second"), ("second", None)):
        bench.ledger.run(commands.delete(uid))
        # The one that had ended does not come back: a DELETE by name that is repeated must not hit it.
        assert whom() == then


def latest(bench: Bench, key: str = "k") -> str | None:
    return bench.ledger.run(queries.latest_of_key(f"team/{key}"))


def test_the_latest_run_of_a_key_is_the_one_admitted_last(bench: Bench) -> None:
    assert latest(bench) is None
    fence = bench.start("a", concurrency=keyed())
    bench.submit("b", concurrency=keyed())
    assert latest(bench) == "a"
    bench.settle("a", fence)
    assert latest(bench) == "b"
    bench.cancel("b")
    assert latest(bench) == "b"
    bench.ledger.run(commands.delete("b"))
    assert latest(bench) == "a"
    assert latest(bench, "other") is None


def test_keys_in_use_are_found_page_by_page(bench: Bench) -> None:
    fences = {key: bench.start(f"u-{key}", concurrency=keyed(key)) for key in ("c", "a", "b", "d/e")}
    bench.submit("waits", concurrency=keyed("b"))
    bench.submit("unkeyed")

    def keys(last: str = "", count: int = 10) -> list[str]:
        return bench.ledger.run(queries.keys_after("team", last, count=count))

    assert keys() == ["team/a", "team/b", "team/c", "team/d/e"]
    assert keys("team/b", count=1) == ["team/c"]
    assert keys("team/d/e") == []
    for key in ("a", "b"):
        bench.settle(f"u-{key}", fences[key])
    assert keys() == ["team/b", "team/c", "team/d/e"]
    assert bench.ledger.run(queries.holders("team/b")) == [("waits", 1)]
    assert bench.ledger.run(queries.waiter_count("team/b")) == 0


def queues(bench: Bench) -> dict[str, tuple[int, int]]:
    """queue -> its messages and running runs"""
    return {use.queue: (use.messages, use.running) for use in bench.ledger.run(queries.queues())}


def test_queues_say_how_many_messages_and_running_runs_they_have(bench: Bench) -> None:
    assert bench.ledger.run(queries.queues()) == []
    bench.submit("a", queue="batch")
    bench.submit("b", queue="batch")
    bench.submit("c")
    bench.claim("c")
    assert queues(bench) == {"batch": (2, 0), "celery": (1, 1)}
    bench.empty("batch")
    bench.empty()
    assert bench.ledger.run(queries.queues()) == [QueueUse(queue="celery", messages=0, running=1)]
    assert set(bench.ledger.client.hgetall("kelery:queues")) == {"celery"}


def test_a_queue_whose_runs_wait_for_their_key_is_there_again_when_they_are_admitted(bench: Bench) -> None:
    fence = bench.start("a", concurrency=keyed())
    bench.submit("b", concurrency=keyed(), queue="batch")
    bench.empty()
    assert queues(bench) == {"celery": (0, 1)}
    bench.settle("a", fence)
    assert queues(bench) == {"batch": (1, 0)}


def test_a_queue_is_there_again_after_a_pause_between_attempts(bench: Bench) -> None:
    retry = Retry(max_attempts=2, backoff_seconds=60)
    bench.settle("a", bench.start("a", queue="batch", retry=retry), failed())
    bench.empty("batch")
    assert queues(bench) == {}
    bench.make_due("retry", "a")
    bench.tick()
    assert queues(bench) == {"batch": (1, 0)}


def workers(bench: Bench) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {one.worker: (one.info_json, one.claims) for one in bench.ledger.run(queries.workers())}


def test_workers_report_what_they_are_and_which_runs_they_have(bench: Bench) -> None:
    bench.submit("a")
    bench.claim("a", worker="w1/x")
    bench.ledger.run(queries.present("w1/x", '{"slots":1}'))
    bench.ledger.run(queries.present("w2/y", "{}"))
    bench.ledger.run(queries.present("w1/x", '{"slots":2}'))
    assert workers(bench) == {"w1/x": ('{"slots":2}', ("a",)), "w2/y": ("{}", ())}
    bench.ledger.run(queries.leave("w2/y"))
    bench.ledger.run(queries.leave("nobody"))
    assert set(workers(bench)) == {"w1/x"}


def silence(bench: Bench, worker: str, *, seconds: int) -> None:
    """Make a worker look as if it had not reported for this time."""
    now = int(bench.ledger.client.time()[0]) * 1_000_000
    bench.ledger.client.zadd("kelery:workers", {worker: now - seconds * 1_000_000})


def test_a_worker_that_is_silent_for_an_hour_is_forgotten(bench: Bench) -> None:
    for worker in ("dead", "late", "well"):
        bench.ledger.run(queries.present(worker, "{}"))
    silence(bench, "dead", seconds=3610)
    silence(bench, "late", seconds=3500)
    began = time.monotonic()
    silent = {one.worker: one.silent_seconds for one in bench.ledger.run(queries.workers())}
    assert set(silent) == {"late", "well"}
    elapsed = time.monotonic() - began + 1
    assert 3500 - 1 <= silent["late"] <= 3500 + elapsed
    assert 0 <= silent["well"] <= elapsed + 1
    bench.ledger.run(queries.present("well", "{}"))
    assert set(bench.ledger.client.hkeys("kelery:worker_info")) == {"late", "well"}
    assert bench.ledger.client.zcard("kelery:workers") == 2


def test_the_history_is_every_change_of_phase_or_reason_and_nothing_else(bench: Bench) -> None:
    bench.submit("first", concurrency=keyed())
    fence_of_first = bench.claim("first")
    bench.submit("a", concurrency=keyed(), retry=Retry(max_attempts=2, backoff_seconds=60))
    bench.settle("first", fence_of_first)
    fence = bench.claim("a")
    bench.ledger.run(commands.progress("a", fence, '{"current":1}'))
    bench.settle("a", fence, failed())
    bench.make_due("retry", "a")
    bench.tick()
    bench.claim("a", attempt=2)
    bench.cancel("a", CancelMode.GRACEFUL)
    # A harder cancel, but the phase and the reason stay.
    bench.cancel("a", CancelMode.FORCE)
    steps = bench.ledger.run(commands.history("a"))
    assert [(step.phase.value, step.reason, step.attempt) for step in steps] == [
        ("Waiting", "WaitingForKey", 1),
        ("Admitted", "WaitingForWorker", 1),
        ("Running", "Started", 1),
        ("Admitted", "RetryBackoff", 2),
        ("Admitted", "WaitingForWorker", 2),
        ("Running", "Started", 2),
        ("Cancelling", "CancelledByUser", 2),
    ]
    revs = [step.rev for step in steps]
    # Progress and the harder cancel have a rev, but no step.
    assert revs == [1, 2, 3, 5, 6, 7, 8]
    assert bench.record("a").rev == 9
    assert [step.at for step in steps] == sorted(step.at for step in steps)


def test_the_history_keeps_the_last_two_hundred_changes(bench: Bench) -> None:
    bench.submit("a")
    for _ in range(110):
        fence = bench.claim("a")
        assert bench.ledger.run(commands.handback("a", fence))
        bench.empty()
    steps = bench.ledger.run(commands.history("a"))
    assert [step.rev for step in steps] == list(range(22, 222))
    assert (steps[-1].phase, bench.record("a").rev) == (Phase.ADMITTED, 221)


@pytest.mark.parametrize("first", ["wrong input", ""])
def test_the_message_of_the_first_cancel_stays(bench: Bench, first: str) -> None:
    bench.start("a")
    bench.ledger.run(commands.cancel("a", CancelMode.GRACEFUL, Reason.CANCELLED_BY_USER, message=first))
    bench.ledger.run(commands.cancel("a", CancelMode.FORCE, Reason.CANCELLED_BY_USER, message="too slow"))
    assert bench.record("a").cancel_message == first


def test_the_message_of_a_cancel_is_kept_as_it_is(bench: Bench) -> None:
    said = 'line\none "quoted" | \N{SNOWMAN}'
    bench.submit("a")
    bench.ledger.run(commands.cancel("a", CancelMode.GRACEFUL, Reason.CANCELLED_BY_USER, message=said))
    assert bench.record("a").cancel_message == said
    bench.ledger.run(commands.cancel("a", CancelMode.FORCE, Reason.CANCELLED_BY_USER, message="late"))
    assert bench.record("a").cancel_message == said


def test_the_requester_is_kept_with_the_run(bench: Bench) -> None:
    bench.ledger.run(
        commands.submit(replace(bench.submission("a"), requester="system:serviceaccount:team:ci"))
    )
    bench.submit("b")
    assert bench.record("a").requester == "system:serviceaccount:team:ci"
    assert (bench.record("b").requester, bench.record("b").cluster) == ("", CLUSTER)


def test_a_queue_out_of_use_is_forgotten_with_its_last_run_though_nobody_asks(bench: Bench) -> None:
    for uid, queue in (("a", "used-once"), ("b", "in-use"), ("c", "in-use")):
        bench.submit(uid, queue=queue)
    bench.settle("a", bench.claim("a"))
    bench.settle("b", bench.claim("b"))
    bench.empty("used-once")
    for uid in ("a", "b"):
        bench.ledger.run(commands.acknowledge(uid, retain_seconds=0))
    bench.until(lambda: bench.ledger.client.exists("kelery:run:a", "kelery:run:b"), 0)
    assert bench.ledger.client.hkeys("kelery:queues") == ["in-use"]
