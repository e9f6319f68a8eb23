"""A pool child accepts a claim only in the form that the start gate writes."""

from __future__ import annotations

from typing import Any

import pytest

from kelery_worker.runs import request_claim
from kelery_worker.runs.request_claim import RequestClaim

CLAIM = RequestClaim(uid="u", fence=7, worker_nonce="n")


def test_the_child_reads_what_the_gate_put() -> None:
    request: dict[str, Any] = {}
    request_claim.put(request, CLAIM)
    assert request_claim.read(request) == CLAIM


@pytest.mark.parametrize(
    "fields", [None, "u", ["u"], {}, {"uid": "u"}, {"uid": "u", "fence": 7, "worker_nonce": "n", "more": 1}]
)
def test_anything_else_is_no_claim(fields: Any) -> None:
    request: dict[str, Any] = {}
    request_claim.put(request, CLAIM)
    (name,) = request
    assert request_claim.read({name: fields}) is None
