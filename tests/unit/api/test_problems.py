"""Exceptions as problem documents."""

from __future__ import annotations

import json

import pytest
from starlette.requests import Request

from kelery.errors import FieldFault, InvalidInput, LedgerTooOld, LedgerUnavailable
from kelery_api.http import exception_handlers
from kelery_api.http.problems import Kind, Problem, body_of, response_of
from kelery_api.models import FieldProblem

REQUEST = Request({"type": "http", "method": "GET", "path": "/x", "headers": []})


def test_the_types_are_stable_and_distinct() -> None:
    assert Kind.NOT_FOUND.type == "https://kelery.dev/problems/not-found"
    assert len({kind.slug for kind in Kind}) == len(Kind)
    assert all(400 <= kind.status < 600 for kind in Kind)


def test_a_problem_has_its_members() -> None:
    problem = Problem(
        Kind.ALREADY_RUNNING,
        "wait",
        errors=[FieldProblem(pointer="/spec", detail="a"), FieldProblem(parameter="wait", detail="b")],
        extra={"id": "u-1", "status": 200},
    )
    assert body_of(problem, path="/start", request_id="r-1") == {
        "type": "https://kelery.dev/problems/already-running",
        "title": Kind.ALREADY_RUNNING.title,
        "status": 409,
        "detail": "wait",
        "instance": "/start",
        "request_id": "r-1",
        "errors": [{"pointer": "/spec", "detail": "a"}, {"parameter": "wait", "detail": "b"}],
        "id": "u-1",
    }


def test_text_that_utf_8_cannot_encode_does_not_break_the_response() -> None:
    answer = response_of(Problem(Kind.NOT_FOUND, "no \ud800"), path="/\ud800", request_id="")
    assert json.loads(bytes(answer.body))["detail"] == "no \ud800"
    assert answer.media_type == "application/problem+json"


@pytest.mark.parametrize(
    ("kind", "header", "value"),
    [
        (Kind.UNAUTHENTICATED, "WWW-Authenticate", "Bearer"),
        (Kind.LEDGER_UNAVAILABLE, "Retry-After", "1"),
        (Kind.ACCESS_CHECK_UNAVAILABLE, "Retry-After", "1"),
    ],
)
def test_a_kind_has_its_header(kind: Kind, header: str, value: str) -> None:
    assert Problem(kind, "x").headers[header] == value


def test_every_invalid_field_is_named_by_its_pointer() -> None:
    further = FieldFault(path=("spec", "kwargs", "a/b", 0), problem="bad")
    error = InvalidInput(("spec", "concurrency", "limit"), "0 is out of range", further=[further])
    problem = exception_handlers.problem_of(error, request=REQUEST)
    assert problem.kind is Kind.INVALID_INPUT
    assert [one["pointer"] for one in problem.errors] == ["/spec/concurrency/limit", "/spec/kwargs/a~1b/0"]


@pytest.mark.parametrize("error", [LedgerUnavailable("redis://:s3cret@h"), LedgerTooOld("old")])
def test_an_outage_of_the_ledger_does_not_show_its_message(error: Exception) -> None:
    problem = exception_handlers.problem_of(error, request=REQUEST)
    assert problem.kind is Kind.LEDGER_UNAVAILABLE
    assert "s3cret" not in problem.detail
