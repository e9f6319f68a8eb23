"""A misspelt parameter, and a body where none is read, are refused on every route."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.requests import Request

from kelery_api.http.problems import Kind, Problem
from kelery_api.http.unknown_parameters import refuse_unknown_parameters


def request(query: str = "", *, method: str = "GET", headers: dict[str, str] | None = None) -> Request:
    pairs = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "query_string": query.encode(),
        "headers": pairs,
    }
    return Request(scope)


@pytest.mark.parametrize(
    ("query", "named"),
    [("wiat=5s", ["wiat"]), ("id=1&wait=5s", ["id"]), ("Wait=5s", ["Wait"]), ("b&a=1&a=2", ["a", "b"])],
)
def test_unknown_parameters_are_named_with_those_that_there_are(query: str, named: list[str]) -> None:
    with pytest.raises(Problem) as raised:
        refuse_unknown_parameters(request(query), known=("wait", "limit"))
    assert raised.value.kind is Kind.INVALID_INPUT
    assert [error["parameter"] for error in raised.value.errors] == named
    assert "choose from wait, limit" in raised.value.detail


def test_a_thousand_unknown_parameters_make_no_long_answer() -> None:
    query = "&".join(f"{'x' * 50}{number}=1" for number in range(1000))
    with pytest.raises(Problem) as raised:
        refuse_unknown_parameters(request(query), known=())
    assert len(raised.value.errors) == 10
    assert len(raised.value.detail) < 300


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("announced", [{"content-length": "2"}, {"transfer-encoding": "chunked"}])
def test_a_body_that_nobody_would_read_is_refused(method: str, announced: dict[str, str]) -> None:
    with pytest.raises(Problem) as raised:
        refuse_unknown_parameters(request(method=method, headers=announced), known=())
    assert raised.value.kind is Kind.BAD_REQUEST


def test_what_is_heard_passes() -> None:
    refuse_unknown_parameters(request("wait=1s&wait=2s"), known=("wait",))
    refuse_unknown_parameters(request(headers={"content-length": "0"}), known=())
    refuse_unknown_parameters(request(method="POST", headers={"content-length": "2"}), known=())
