"""What is cached, for how long, and that equal reviews are sent once at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kelery.kube.answer import KubeError
from kelery_api.access.verdict_cache import ALLOW_SECONDS, DENY_SECONDS, Verdict, VerdictCache

ALLOWED: Verdict[str] = Verdict(value="yes")
REFUSED: Verdict[str] = Verdict(value=None)


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Oracle:
    """Returns a preset verdict after `takes` seconds of the clock, and counts its calls."""

    def __init__(self, clock: Clock, answer: Verdict[str] | Exception, *, takes: float = 0) -> None:
        self.asked = 0
        self.answer = answer
        self._clock = clock
        self._takes = takes

    async def __call__(self) -> Verdict[str]:
        self.asked += 1
        await asyncio.sleep(0)
        self._clock.now += self._takes
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def cache_with(
    answer: Verdict[str] | Exception, *, takes: float = 0
) -> tuple[VerdictCache[str, str], Clock, Oracle]:
    clock = Clock()
    return VerdictCache(clock=clock), clock, Oracle(clock, answer, takes=takes)


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (ALLOWED, ALLOW_SECONDS),
        (REFUSED, DENY_SECONDS),
        (Verdict(value="yes", seconds=4), 4),
        (Verdict(value="yes", seconds=1e9), ALLOW_SECONDS),
        (Verdict(value="yes", seconds=float("nan")), ALLOW_SECONDS),
        (Verdict(value=None, seconds=1e9), DENY_SECONDS),
    ],
)
def test_an_entry_is_served_until_it_expires_and_then_requested_again(
    answer: Verdict[str], seconds: float
) -> None:
    async def play() -> None:
        cache, clock, oracle = cache_with(answer)
        begun = clock.now
        assert await cache.get("k", oracle) == answer.value
        clock.now = begun + seconds - 0.001
        assert await cache.get("k", oracle) == answer.value
        assert oracle.asked == 1
        clock.now = begun + seconds
        assert await cache.get("k", oracle) == answer.value
        assert oracle.asked == 2

    asyncio.run(play())


def test_a_denial_expires_sooner_than_a_permission() -> None:
    assert DENY_SECONDS <= 10 < ALLOW_SECONDS <= 30


@pytest.mark.parametrize("seconds", [0, -5, float("-inf")])
def test_an_entry_that_has_already_expired_is_not_kept(seconds: float) -> None:
    async def play() -> None:
        cache, _, oracle = cache_with(Verdict(value="yes", seconds=seconds))
        assert await cache.get("k", oracle) == "yes"
        assert await cache.get("k", oracle) == "yes"
        assert oracle.asked == 2

    asyncio.run(play())


def test_the_age_of_an_entry_counts_from_the_request() -> None:
    async def play() -> None:
        cache, clock, oracle = cache_with(ALLOWED, takes=20)
        await cache.get("k", oracle)
        clock.now += ALLOW_SECONDS - 20
        await cache.get("k", oracle)
        assert oracle.asked == 2

    asyncio.run(play())


def test_an_expired_entry_is_not_served_during_an_outage() -> None:
    async def play() -> None:
        cache, clock, oracle = cache_with(ALLOWED)
        await cache.get("k", oracle)
        oracle.answer = KubeError("away", status=0)
        clock.now += ALLOW_SECONDS - 1
        assert await cache.get("k", oracle) == "yes"
        clock.now += 1
        for _ in range(2):
            with pytest.raises(KubeError):
                await cache.get("k", oracle)
        # The failure is not cached: each request asks.
        assert oracle.asked == 3
        oracle.answer = REFUSED
        assert await cache.get("k", oracle) is None

    asyncio.run(play())


def test_a_revoked_permission_is_removed_when_its_denial_is_cached() -> None:
    async def play() -> None:
        cache, clock, oracle = cache_with(ALLOWED)
        await cache.get("k", oracle)
        clock.now += ALLOW_SECONDS
        oracle.answer = REFUSED
        assert await cache.get("k", oracle) is None
        assert await cache.get("k", oracle) is None
        assert len(cache) == 1

    asyncio.run(play())


def test_concurrent_equal_requests_are_one_review() -> None:
    async def play() -> None:
        cache, _, oracle = cache_with(ALLOWED)
        answers = await asyncio.gather(*(cache.get("k", oracle) for _ in range(50)))
        assert answers == ["yes"] * 50
        assert oracle.asked == 1
        await asyncio.gather(cache.get("a", oracle), cache.get("b", oracle))
        assert oracle.asked == 3

    asyncio.run(play())


def test_all_waiting_callers_get_the_error_and_the_next_one_asks_again() -> None:
    async def play() -> None:
        cache, _, oracle = cache_with(KubeError("away", status=0))
        answers = await asyncio.gather(*(cache.get("k", oracle) for _ in range(5)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [KubeError] * 5
        assert oracle.asked == 1
        oracle.answer = ALLOWED
        assert await cache.get("k", oracle) == "yes"

    asyncio.run(play())


def test_a_cancelled_caller_does_not_cancel_the_others() -> None:
    async def play() -> None:
        cache, _, oracle = cache_with(ALLOWED)
        first = asyncio.create_task(cache.get("k", oracle))
        second = asyncio.create_task(cache.get("k", oracle))
        # Both wait and the review is pending: the second turn of the loop runs the task of the first.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert oracle.asked == 1
        first.cancel()
        assert await second == "yes"
        assert first.cancelled()
        assert oracle.asked == 1

    asyncio.run(play())


def test_closing_cancels_pending_reviews() -> None:
    async def play() -> None:
        cache: VerdictCache[str, str] = VerdictCache(clock=Clock())
        never = asyncio.Event()

        async def ask() -> Verdict[str]:
            await never.wait()
            return ALLOWED

        waiting = asyncio.create_task(cache.get("k", ask))
        await asyncio.sleep(0)
        await cache.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(play())


def answering(answer: Verdict[str]) -> Callable[[], Awaitable[Verdict[str]]]:
    async def ask() -> Verdict[str]:
        return answer

    return ask


def test_the_cache_is_bounded_and_evicts_the_least_recently_used() -> None:
    async def play() -> None:
        clock = Clock()
        cache: VerdictCache[int, str] = VerdictCache(clock=clock, capacity=3)
        for number in range(3):
            await cache.get(number, answering(ALLOWED))
        oracle = Oracle(clock, ALLOWED)
        await cache.get(0, oracle)
        await cache.get(3, answering(ALLOWED))
        assert len(cache) == 3
        await cache.get(0, oracle)
        assert oracle.asked == 0
        await cache.get(1, oracle)
        assert oracle.asked == 1

    asyncio.run(play())


def test_a_flood_of_invalid_requests_does_not_evict_valid_users() -> None:
    async def play() -> None:
        clock = Clock()
        cache: VerdictCache[int, str] = VerdictCache(clock=clock, capacity=3)
        await cache.get(-1, answering(ALLOWED))
        for number in range(100):
            await cache.get(number, answering(REFUSED))
        assert len(cache) == 4
        oracle = Oracle(clock, REFUSED)
        assert await cache.get(-1, oracle) == "yes"
        assert oracle.asked == 0

    asyncio.run(play())
