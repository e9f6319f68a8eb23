"""What the API server's answers mean."""

from __future__ import annotations

import pytest

from kelery.kube.answer import Answer

NOT_FOUND = {"kind": "Status", "reason": "NotFound", "details": {"name": "run", "kind": "taskruns"}}


def test_the_server_says_that_an_object_is_not_there() -> None:
    assert Answer(status=404, body=NOT_FOUND).says_absent("run")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=404, body={"message": "404 page not found"}),
        Answer(status=404, body={**NOT_FOUND, "details": {"name": "another"}}),
        Answer(status=404, body={**NOT_FOUND, "details": None}),
        Answer(status=200, body=NOT_FOUND),
        Answer(status=503, body={}),
    ],
)
def test_a_server_that_serves_no_taskruns_says_nothing_about_one(answer: Answer) -> None:
    assert not answer.says_absent("run")


def test_an_error_has_the_servers_words() -> None:
    error = Answer(status=429, body={"message": "too many requests"}, retry_after=2).error()
    assert (error.status, error.retry_after) == (429, 2)
    assert "too many requests" in str(error)
