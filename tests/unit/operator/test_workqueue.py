"""The work queue, with a fake clock."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import strategies as st

from kelery_operator.runtime.workqueue import WorkQueue

T = TypeVar("T")


class Clock:
    """A clock that moves on command."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


async def taken(queue: WorkQueue[str]) -> list[str] | None:
    """What can be taken now; None if one would have to wait."""
    try:
        return await asyncio.wait_for(queue.take(), 0.01)
    except TimeoutError:
        return None


def test_keys_are_taken_in_order_and_once_however_often_they_were_added() -> None:
    async def scene() -> None:
        queue = WorkQueue[str](clock=Clock())
        for key in ("b", "a", "b", "c", "a"):
            queue.add(key)
        assert await queue.take(most=2) == ["b", "a"]
        assert await queue.take() == ["c"]
        assert await taken(queue) is None

    run(scene())


def test_keys_that_are_due_at_one_moment_are_taken_together_in_their_order() -> None:
    async def scene() -> None:
        clock = Clock()
        queue = WorkQueue[str](clock=clock, place=lambda key: ("", key))
        for key in ("b", "c", "a"):
            queue.add_at(key, due=1005.0)
            clock.now += 1
        assert await taken(queue) is None
        clock.now = 1005.0
        assert await taken(queue) == ["a", "b", "c"]
        queue.add_at("d", due=1004.0)
        assert len(queue) == 1

    run(scene())


def test_a_key_is_never_in_work_twice_but_comes_again_if_added_meanwhile() -> None:
    async def scene() -> None:
        queue = WorkQueue[str](clock=Clock())
        queue.add("a")
        assert await queue.take() == ["a"]
        queue.add("a")
        assert len(queue) == 1
        assert await taken(queue) is None
        queue.done("a")
        assert await taken(queue) == ["a"]
        queue.done("a")
        assert await taken(queue) is None

    run(scene())


def test_a_waiting_taker_is_woken() -> None:
    async def scene() -> None:
        queue = WorkQueue[str]()
        taker = asyncio.create_task(queue.take())
        await asyncio.sleep(0)
        queue.add("late")
        assert await asyncio.wait_for(taker, 1) == ["late"]

    run(scene())


def test_a_delayed_key_comes_when_it_is_due() -> None:
    async def scene() -> None:
        clock = Clock()
        queue = WorkQueue[str](clock=clock)
        queue.add_after("later", delay=5)
        queue.add_after("now", delay=0)
        assert await taken(queue) == ["now"]
        assert await taken(queue) is None
        clock.now += 5
        assert await taken(queue) == ["later"]

    run(scene())


def test_failures_pause_longer_and_longer_until_it_goes_well() -> None:
    queue = WorkQueue[str](clock=Clock(), jitter=lambda: 1.0, first_pause=0.1, longest_pause=1.0)
    assert [queue.retry("a") for _ in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    queue.forget("a")
    assert queue.retry("a") == 0.1
    assert queue.retry("b") == 0.1


def test_jitter_shortens_a_pause_by_half_at_most() -> None:
    queue = WorkQueue[str](clock=Clock(), jitter=lambda: 0.0, first_pause=0.1)
    assert queue.retry("a") == 0.05


def test_the_age_is_that_of_the_oldest() -> None:
    clock = Clock()
    queue = WorkQueue[str](clock=clock)
    assert queue.oldest_age() == 0
    queue.add("a")
    clock.now += 3
    queue.add("b")
    assert (queue.oldest_age(), len(queue)) == (3, 2)


def test_work_that_starts_earlier_replaces_the_planned_work() -> None:
    async def scene() -> None:
        clock = Clock()
        queue = WorkQueue[str](clock=clock)
        queue.add_after("a", delay=5)
        clock.now += 1
        queue.add("a")
        assert await taken(queue) == ["a"]
        assert queue.in_work_since("a") == 1000.0
        queue.done("a")
        clock.now += 10
        assert await taken(queue) is None

    run(scene())


def test_what_is_planned_while_a_key_is_in_work_is_looked_at_afterwards() -> None:
    async def scene() -> None:
        clock = Clock()
        queue = WorkQueue[str](clock=clock)
        queue.add("a")
        assert await taken(queue) == ["a"]
        queue.add_after("a", delay=1)
        queue.done("a")
        assert await taken(queue) is None
        clock.now += 1
        assert await taken(queue) == ["a"]
        assert queue.in_work_since("a") == 1000.0

    run(scene())


def test_of_two_plans_the_earlier_counts() -> None:
    async def scene() -> None:
        clock = Clock()
        queue = WorkQueue[str](clock=clock)
        queue.add_after("a", delay=5)
        queue.add_after("a", delay=1)
        queue.add_after("a", delay=3)
        clock.now += 1
        assert await taken(queue) == ["a"]
        queue.done("a")
        clock.now += 10
        assert await taken(queue) is None

    run(scene())


def test_a_waiting_taker_is_woken_when_a_delayed_key_is_due() -> None:
    async def scene() -> None:
        queue = WorkQueue[str]()
        queue.add_after("late", delay=30)
        taker = asyncio.create_task(queue.take())
        await asyncio.sleep(0)
        queue.add_after("soon", delay=0.02)
        assert await asyncio.wait_for(taker, 1) == ["soon"]
        queue.add_after("again", delay=0.02)
        assert await asyncio.wait_for(queue.take(), 1) == ["again"]

    run(scene())


def test_lanes_take_turns_and_a_lane_keeps_its_order() -> None:
    async def scene() -> None:
        queue = WorkQueue[str](place=lambda key: (key[0], int(key[1:])), clock=Clock())
        for key in ("s3", "s1", "s2", "s4", "c2"):
            queue.add(key)
        assert await queue.take(most=2) == ["s1", "c2"]
        queue.add("c1")
        queue.add("s0")
        # What comes during a lane's round waits for the next one.
        assert await queue.take(most=3) == ["s2", "c1", "s3"]
        assert await queue.take() == ["s4", "s0"]
        assert await taken(queue) is None

    run(scene())


def test_a_crowded_namespace_does_not_delay_others() -> None:
    async def scene() -> None:
        queue = WorkQueue[str](place=lambda key: (key[0], int(key[1:])), clock=Clock())
        for number in range(5000):
            queue.add(f"s{number}")
        assert len(await queue.take(most=100)) == 100
        queue.add("c1")
        assert "c1" in await queue.take(most=2)

    run(scene())


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50)), unique=True), st.integers(1, 7))
def test_in_its_lane_nobody_is_overtaken(entries: list[tuple[str, int]], most: int) -> None:
    async def scene() -> None:
        queue = WorkQueue[str](place=lambda key: (key[0], int(key[1:])), clock=Clock())
        for lane, order in entries:
            queue.add(f"{lane}{order}")
        out: list[str] = []
        while len(queue):
            out += await queue.take(most=most)
        assert sorted(out) == sorted(f"{lane}{order}" for lane, order in entries)
        for lane in "abc":
            of_lane = [int(key[1:]) for key in out if key[0] == lane]
            assert of_lane == sorted(of_lane)

    run(scene())


def test_a_key_that_returns_again_and_again_does_not_block_those_behind_it() -> None:
    async def scene() -> None:
        queue = WorkQueue[str](place=lambda key: ("", int(key)), clock=Clock())
        queue.add("1")
        queue.add("2")
        assert await queue.take(most=1) == ["1"]
        queue.done("1")
        queue.add("1")
        assert await queue.take(most=1) == ["2"]
        assert await queue.take(most=1) == ["1"]

    run(scene())
