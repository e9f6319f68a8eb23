"""The observer's own clock: what it names for a reclaim, and what makes it start again."""

from kelery.ledger.lease_observer import LeaseObserver


def test_a_lease_that_stands_still_long_enough_is_named() -> None:
    observer = LeaseObserver(stand_still=13.5)
    assert observer.observe({"a": "7:1"}, 100.0) == []
    assert observer.observe({"a": "7:1"}, 113.4) == []
    assert observer.observe({"a": "7:1"}, 113.5) == [("a", "7:1")]


def test_a_renewal_restarts_the_clock_of_that_lease_alone() -> None:
    observer = LeaseObserver(stand_still=10)
    observer.observe({"a": "1:1", "b": "2:1"}, 0.0)
    observer.observe({"a": "1:2", "b": "2:1"}, 9.0)
    assert observer.observe({"a": "1:2", "b": "2:1"}, 10.0) == [("b", "2:1")]
    assert observer.observe({"a": "1:2", "b": "2:1"}, 19.0) == [("a", "1:2"), ("b", "2:1")]


def test_a_new_fence_of_the_same_run_is_a_new_lease() -> None:
    observer = LeaseObserver(stand_still=10)
    observer.observe({"a": "1:1"}, 0.0)
    assert observer.observe({"a": "2:1"}, 11.0) == []


def test_a_lease_that_went_and_came_back_starts_again() -> None:
    observer = LeaseObserver(stand_still=10)
    observer.observe({"a": "1:1"}, 0.0)
    observer.observe({}, 5.0)
    assert observer.observe({"a": "1:1"}, 11.0) == []


def test_after_a_failed_read_every_clock_starts_again() -> None:
    observer = LeaseObserver(stand_still=10)
    observer.observe({"a": "1:1"}, 0.0)
    observer.forget()
    assert observer.observe({"a": "1:1"}, 11.0) == []
    assert observer.observe({"a": "1:1"}, 21.0) == [("a", "1:1")]


def test_a_lease_that_is_still_there_is_named_again() -> None:
    observer = LeaseObserver(stand_still=1)
    observer.observe({"a": "1:1"}, 0.0)
    assert observer.observe({"a": "1:1"}, 2.0) == observer.observe({"a": "1:1"}, 3.0) == [("a", "1:1")]
