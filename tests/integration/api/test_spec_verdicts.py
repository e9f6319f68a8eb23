"""The live gateway judges specs as the shared table expects, which the API server's tests use too."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway_process import PROBLEMS, GatewayProcess
from tests.support.spec_cases import BAD, DIFFERENCES, GOOD, UNREADABLE, SpecCase

_PATH = "/v1/namespaces/default/taskruns"
#: Judged by its depth, which names fields here, and not by its syntax.
_TOO_DEEP = "nesting without end"


class GatewayJudge:
    """Submits specs over one connection."""

    def __init__(self, *, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def answer(self, spec_text: str) -> tuple[int, Any]:
        """Status and body of the response to a spec that is sent unchanged."""
        body = '{"spec": ' + spec_text + "}"
        self._connection.request("POST", _PATH, body.encode(), {"Content-Type": "application/json"})
        with self._connection.getresponse() as response:
            return response.status, json.loads(response.read())

    def verdict(self, spec_text: str) -> frozenset[str]:
        """JSON pointers to all rejected fields; empty if the spec is accepted."""
        status, body = self.answer(spec_text)
        if status == 202:
            return frozenset()
        assert (status, body["type"]) == (422, f"{PROBLEMS}invalid-input"), body
        return frozenset(error["pointer"] for error in body["errors"])

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def judge(gateway_process: GatewayProcess) -> Iterator[GatewayJudge]:
    """On the shared gateway. No worker runs the accepted specs."""
    judge = GatewayJudge(port=gateway_process.port)
    yield judge
    judge.close()


@pytest.mark.parametrize("case", GOOD, ids=str)
def test_a_valid_spec_is_accepted(judge: GatewayJudge, case: SpecCase) -> None:
    assert judge.verdict(case.text) == frozenset()


@pytest.mark.parametrize("case", [*BAD, *(difference.case for difference in DIFFERENCES)], ids=str)
def test_an_invalid_spec_is_rejected_with_every_invalid_field(judge: GatewayJudge, case: SpecCase) -> None:
    assert judge.verdict(case.text) == case.pointers


@pytest.mark.parametrize("title", UNREADABLE)
def test_an_unreadable_body_is_rejected_as_a_whole(judge: GatewayJudge, title: str) -> None:
    status, body = judge.answer(UNREADABLE[title])
    expected = (422, "invalid-input") if title == _TOO_DEEP else (400, "invalid-json")
    assert (status, body["type"].removeprefix(PROBLEMS)) == expected, body


def test_the_arguments_of_an_accepted_run_are_shown_as_they_were_sent(judge: GatewayJudge) -> None:
    args = [2**64 + 1, -(2**63), 0.1, 1e300, "\u2028\x00", {"": [None, {}]}]
    status, body = judge.answer(json.dumps({"task": "demo.add", "args": args}))
    assert status == 202
    assert body["spec"]["args"] == args
