"""When credentials are read, and what happens if they cannot be."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import replace

import pytest

from kelery.errors import SettingsError
from kelery.kube.credentials import Credentials
from kelery.kube.login import Login

BASE = Credentials(server="https://x")


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Reader:
    """Returns the number of the reading; fails while `fails` is set."""

    def __init__(self, lifetime: float | None, clock: Clock) -> None:
        self.reads, self.fails = 0, False
        self._lifetime, self._clock = lifetime, clock

    def __call__(self) -> Credentials:
        self.reads += 1
        if self.fails:
            raise SettingsError(f"failure {self.reads}")
        expiry = None if self._lifetime is None else self._clock.now + self._lifetime
        return replace(BASE, token=str(self.reads), expires_at=expiry)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("lifetime", "read_after"),
    # Files; from a plug-in; less than the margin; already expired; a plug-in without an expiry.
    [(None, 60), (900, 890), (12, 6), (-5, 1), (math.inf, None)],
)
def test_they_are_read_again_in_time(clock: Clock, lifetime: float | None, read_after: float | None) -> None:
    reader = Reader(lifetime, clock)
    login = Login(reader, clock=clock)
    assert login.fresh() is None
    assert login.credentials().token == "1"
    clock.now += 1e9 if read_after is None else read_after - 0.1
    assert login.credentials().token == "1"
    assert login.fresh() is login.credentials()
    if read_after is not None:
        clock.now += 0.2
        assert login.fresh() is None
        assert login.credentials().token == "2"


def test_refused_credentials_are_replaced_once_for_all_sessions(clock: Clock) -> None:
    reader = Reader(math.inf, clock)
    login = Login(reader, clock=clock)
    first = login.credentials()
    second = login.renew(refused=first)
    assert second.token == "2"
    assert login.renew(refused=first) is second
    # Refused too: there are no others now, but there may be some seconds later.
    assert login.renew(refused=second) is second
    clock.now += 5
    assert login.renew(refused=second).token == "3"
    assert reader.reads == 3


def test_those_that_are_good_outlive_a_failure(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    reader = Reader(900, clock)
    login = Login(reader, clock=clock)
    first = login.credentials()
    clock.now += 895
    reader.fails = True
    assert login.credentials() is first
    assert "cannot renew the credentials for the API server yet: failure 2" in caplog.text
    clock.now += 4
    assert login.credentials() is first
    assert reader.reads == 2
    clock.now += 3
    with pytest.raises(SettingsError, match="failure 3"):
        login.credentials()
    reader.fails = False
    # Not at each request: it may be a plug-in that takes its time.
    with pytest.raises(SettingsError, match="failure 3"):
        login.credentials()
    clock.now += 5
    assert login.credentials().token == "4"


def test_a_failure_after_a_refusal_is_an_error(clock: Clock) -> None:
    reader = Reader(900, clock)
    login = Login(reader, clock=clock)
    first = login.credentials()
    reader.fails = True
    with pytest.raises(SettingsError, match="failure 2"):
        login.renew(refused=first)


def test_threads_at_once_read_once() -> None:
    reads, found = list[int](), list[Credentials]()

    def read() -> Credentials:
        reads.append(1)
        time.sleep(0.2)
        return replace(BASE, expires_at=math.inf)

    login = Login(read)
    threads = [threading.Thread(target=lambda: found.append(login.credentials())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert len(found) == 8
    assert len({id(one) for one in found}) == 1
    assert len(reads) == 1
