"""What a task returns or raises, as JSON that every API server accepts."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import math
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.exceptions import EncodeError

from kelery.run.phases import Reason
from kelery_worker.runs import outcomes

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | INT64 | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner))


@given(JSON)
def test_json_values_are_kept_exactly(value: Any) -> None:
    assert json.loads(outcomes.encode(value)) == value


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2), [1, 2]),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.datetime(2026, 1, 2, 3, 4), "2026-01-02T03:04:00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (decimal.Decimal("1.10"), "1.10"),
        (Colour.RED, "red"),
    ],
)
def test_everyday_types_that_json_lacks_become_text(value: Any, expected: Any) -> None:
    assert json.loads(outcomes.encode({"value": value})) == {"value": expected}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"rows": [1, math.nan]}, "result.rows[1] is nan"),
        (math.inf, "result is inf"),
        ({"id": 2**63}, "result.id is an integer beyond 64 bits"),
        (-(2**63) - 1, "beyond 64 bits"),
        ({1, 2}, "a set"),
        (b"bytes", "a bytes"),
        ("\udcff", "not valid Unicode"),
        ({"\udcff": 1}, "a key of result"),
        (object(), "a object"),
    ],
)
def test_what_json_cannot_say_is_named(value: Any, words: str) -> None:
    outcome = outcomes.of_return(value)
    assert (outcome.kind, outcome.reason) == ("failed", Reason.RESULT_NOT_SERIALIZABLE)
    assert words in json.loads(outcome.error_json)["message"]


def test_a_value_that_contains_itself_or_is_too_deep_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    for value in (loop, deep):
        assert outcomes.of_return(value).reason is Reason.RESULT_NOT_SERIALIZABLE


def test_celerys_own_encoding_error_counts_as_not_serializable() -> None:
    assert outcomes.of_error(EncodeError("no")).reason is Reason.RESULT_NOT_SERIALIZABLE


def test_long_errors_are_cut_at_the_useful_end() -> None:
    shown = json.loads(
        outcomes.of_error(ValueError("m" * 100_000), "start" + "t" * 100_000 + "end").error_json
    )
    assert len(shown["message"]) == outcomes.MESSAGE_MAX
    assert len(shown["traceback"]) == outcomes.TRACEBACK_MAX
    assert shown["traceback"].endswith("end")


def test_an_exception_that_cannot_be_told_is_told_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert "Mute" in json.loads(outcomes.of_error(Mute(), "tb").error_json)["message"]
