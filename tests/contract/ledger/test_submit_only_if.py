"""submit_only_if: accepted if the conditions hold at that moment; otherwise it leaves no data."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from kelery.errors import RunConflict
from kelery.ledger import commands, queries, sync_client
from kelery.ledger.types import OnlyIf, Submission, SubmissionRefused, Submitted
from kelery.run.phases import Phase, Reason
from tests.support.ledger_bench import Bench, keyed

ROOM, FREE_NAME = (OnlyIf.ROOM,), (OnlyIf.FREE_NAME,)


def named(bench: Bench, uid: str, name: str, **spec: Any) -> Submission:
    return replace(bench.submission(uid, **spec), name=name)


def submit(
    bench: Bench, submission: Submission, conditions: Sequence[OnlyIf]
) -> Submitted | SubmissionRefused:
    return bench.ledger.run(commands.submit_only_if(submission, conditions))


def take(bench: Bench, submission: Submission) -> None:
    bench.ledger.run(commands.submit(submission))


def is_new(answer: Submitted | SubmissionRefused) -> bool:
    return isinstance(answer, Submitted) and answer.new


def in_the_way(answer: Submitted | SubmissionRefused) -> str:
    assert isinstance(answer, SubmissionRefused), answer
    return f"{answer.because_not.value}: {answer.other}"


def test_with_room_it_is_admitted(bench: Bench) -> None:
    answer = submit(bench, bench.submission("a", concurrency=keyed()), ROOM)
    assert is_new(answer)
    assert bench.pushed() == ["a:1"]


def test_without_room_it_is_refused_with_the_holder_of_the_key(bench: Bench) -> None:
    fence = bench.start("a", concurrency=keyed())
    refused = bench.submission("b", concurrency=keyed())
    assert in_the_way(submit(bench, refused, ROOM)) == "room: a"
    bench.cancel("a")
    assert in_the_way(submit(bench, refused, ROOM)) == "room: a"
    bench.settle("a", fence)
    assert is_new(submit(bench, refused, ROOM))


def test_the_smallest_limit_of_all_counts(bench: Bench) -> None:
    bench.submit("a", concurrency=keyed(limit=3))
    assert is_new(submit(bench, bench.submission("b", concurrency=keyed(limit=3)), ROOM))
    assert in_the_way(submit(bench, bench.submission("c", concurrency=keyed(limit=2)), ROOM)).startswith(
        "room"
    )
    assert is_new(submit(bench, bench.submission("d", concurrency=keyed(limit=3)), ROOM))


def test_who_waits_goes_before(bench: Bench) -> None:
    bench.submit("a", concurrency=keyed(limit=2))
    bench.submit("narrow", concurrency=keyed(limit=1))
    refused = submit(bench, bench.submission("b", concurrency=keyed(limit=2)), ROOM)
    assert in_the_way(refused) == "room: a"


def test_a_run_without_a_key_always_has_room(bench: Bench) -> None:
    bench.submit("a")
    assert is_new(submit(bench, bench.submission("b"), ROOM))


def test_a_name_of_a_live_run_is_taken_until_that_has_ended(bench: Bench) -> None:
    fence = bench.start("a")
    wanted = named(bench, "b", "run-a")
    assert in_the_way(submit(bench, wanted, FREE_NAME)) == "free_name: a"
    bench.settle("a", fence)
    assert is_new(submit(bench, wanted, FREE_NAME))
    assert bench.ledger.run(queries.uid_of_name("team", "run-a")) == "b"


def test_names_are_apart_in_each_namespace(bench: Bench) -> None:
    bench.submit("a")
    assert is_new(submit(bench, replace(named(bench, "b", "run-a"), namespace="other"), FREE_NAME))


def test_a_deleted_run_has_given_its_name_back_although_it_still_runs(bench: Bench) -> None:
    bench.start("a")
    bench.ledger.run(commands.delete("a"))
    assert is_new(submit(bench, named(bench, "b", "run-a"), FREE_NAME))
    assert bench.record("a").phase is Phase.CANCELLING


def test_a_run_without_a_name_has_its_uid_as_its_name(bench: Bench) -> None:
    take(bench, named(bench, "a", "a"))
    assert in_the_way(submit(bench, named(bench, "b", "a"), FREE_NAME)) == "free_name: a"
    assert is_new(submit(bench, named(bench, "c", "c"), FREE_NAME))
    bench.ledger.run(commands.delete("a"))
    assert is_new(submit(bench, named(bench, "b", "a"), FREE_NAME))
    # It has another name, so its uid is not a name.
    assert is_new(submit(bench, named(bench, "d", "b"), FREE_NAME))


def test_a_name_is_taken_although_a_newer_run_of_it_has_ended(bench: Bench) -> None:
    take(bench, named(bench, "old", "report"))
    take(bench, replace(named(bench, "new", "report"), born_final=Reason.CANCELLED_AT_CREATE))
    assert bench.ledger.run(queries.uid_of_name("team", "report")) == "new"
    assert in_the_way(submit(bench, named(bench, "b", "report"), FREE_NAME)) == "free_name: old"
    bench.settle("old", bench.claim("old"))
    assert is_new(submit(bench, named(bench, "b", "report"), FREE_NAME))


def test_each_condition_counts_by_itself(bench: Bench) -> None:
    bench.submit("a", concurrency=keyed())
    both = (OnlyIf.FREE_NAME, OnlyIf.ROOM)
    full = bench.submission("b", concurrency=keyed())
    assert in_the_way(submit(bench, full, both)) == "room: a"
    assert is_new(submit(bench, full, FREE_NAME))
    taken = named(bench, "c", "run-a", concurrency=keyed("other"))
    assert in_the_way(submit(bench, taken, both)) == "free_name: a"
    assert is_new(submit(bench, taken, ROOM))


@pytest.mark.parametrize("conditions", [ROOM, FREE_NAME, (*ROOM, *FREE_NAME)])
def test_repeated_it_is_not_in_its_own_way(bench: Bench, conditions: Sequence[OnlyIf]) -> None:
    submission = bench.submission("a", concurrency=keyed())
    assert is_new(submit(bench, submission, conditions))
    again = submit(bench, submission, conditions)
    assert isinstance(again, Submitted)
    assert (again.new, again.phase) == (False, Phase.ADMITTED)
    with pytest.raises(RunConflict):
        submit(bench, replace(submission, spec_hash="another"), conditions)


def test_what_is_refused_leaves_nothing_behind(bench: Bench) -> None:
    bench.submit("a", concurrency=keyed())
    refused = replace(bench.submission("b", concurrency=keyed()), requester="jane")
    before = everything(bench)
    submit(bench, refused, ROOM)
    submit(bench, replace(refused, name="run-a"), FREE_NAME)
    assert everything(bench) == before


def everything(bench: Bench) -> dict[str, Any]:
    """Every key with what it holds."""
    return {key: bench.ledger.client.dump(key) for key in bench.ledger.client.keys("*")}


def test_of_many_rivals_at_once_one_is_taken(bench: Bench, valkey_url: str) -> None:
    def rival(number: int) -> str:
        with sync_client.connect(valkey_url, timeout_seconds=10, client_name="rival") as client:
            ledger = sync_client.Ledger(client, prefix="kelery")
            submission = named(bench, f"r{number}", "report", concurrency=keyed())
            answer = ledger.run(commands.submit_only_if(submission, (*ROOM, *FREE_NAME)))
            return submission.uid if isinstance(answer, Submitted) else f"gave way to {answer.other}"

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(rival, range(64)))
    [taken] = [answer for answer in answers if not answer.startswith("gave way")]
    assert answers.count(f"gave way to {taken}") == 63
    assert bench.pushed() == [f"{taken}:1"]
