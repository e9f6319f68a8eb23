"""The watchdog: alive while work progresses."""

from __future__ import annotations

from kelery_operator.runtime.health import why_not_alive
from kelery_operator.runtime.watchdog import Watchdog


def test_an_idle_loop_is_always_alive_and_a_stalled_one_is_not() -> None:
    now = 0.0
    watchdog = Watchdog(clock=lambda: now)
    now = 1e6
    assert why_not_alive(watchdog) == ""
    watchdog.busy()
    now += 59
    assert why_not_alive(watchdog) == ""
    now += 2
    assert "61 s" in why_not_alive(watchdog)
    watchdog.busy()
    assert why_not_alive(watchdog) == ""
    watchdog.idle()
    now += 1000
    assert watchdog.stalled_for() == 0
