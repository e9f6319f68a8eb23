"""When Celery's own retry is due, given as a countdown or as an eta."""

from __future__ import annotations

import datetime

import pytest

from kelery_worker.child import retry_capture

UTC = datetime.UTC


@pytest.mark.parametrize(
    ("countdown", "ahead", "least", "most"),
    [
        (None, None, 0, 0),
        (0, None, 0, 0),
        (2.5, None, 2.5, 2.5),
        (-3, None, 0, 0),
        (None, 60, 55, 60),
        (None, -60, 0, 0),
    ],
)
def test_the_delay_is_never_negative(
    countdown: float | None, ahead: float | None, least: float, most: float
) -> None:
    eta = None if ahead is None else datetime.datetime.now(UTC) + datetime.timedelta(seconds=ahead)
    for given_eta in {eta, eta.replace(tzinfo=None) if eta else None}:
        assert least <= retry_capture.delay(countdown, given_eta) <= most
