"""Every route rejects unknown parameters, and bodies that it does not read."""

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
def test_unknown_parameters_are_named_with_the_known_ones(query: str, named: list[str]) -> None:
    with pytest.raises(Problem) as raised:
        refuse_unknown_parameters(request(query), known=("wait", "limit"))
    assert raised.value.kind is Kind.INVALID_INPUT
    assert [error["parameter"] for error in raised.value.errors] == named
    assert "choose from wait, limit" in raised.value.detail


def test_a_thousand_unknown_parameters_give_a_short_response() -> None:
    query = "&".join(f"{'x' * 50}{number}=1" for number in range(1000))
    with pytest.raises(Problem) as raised:
        refuse_unknown_parameters(request(query), known=())
    assert len(raised.value.errors) == 10
    assert len(raised.value.detail) < 300


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("announced", [{"content-length": "2"}, {"transfer-encoding": "chunked"}])
def test_a_body_that_the_route_does_not_read_is_rejected(method: str, announced: dict[str, str]) -> None:
    with pytest.raises(Problem) as raised:
        refuse_unknown_parameters(request(method=method, headers=announced), known=())
    assert raised.value.kind is Kind.BAD_REQUEST


def test_known_parameters_and_bodies_pass() -> None:
    refuse_unknown_parameters(request("wait=1s&wait=2s"), known=("wait",))
    refuse_unknown_parameters(request(headers={"content-length": "0"}), known=())
    refuse_unknown_parameters(request(method="POST", headers={"content-length": "2"}), known=())
