"""Hooks for schemathesis, which its command loads through SCHEMATHESIS_HOOKS.

They shorten waits, make the two pauses of a retry fit each other, and accept a rejection if the OpenAPI
document cannot express its rule. Such a rule is recognized by the field that it names; other rejections are
failures.
"""

from __future__ import annotations

import re
from typing import Any

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData

from kelery_api.routes.parameters import WAIT_FORM

_PROBLEMS = "https://kelery.dev/problems/"
#: The parameters of /start are JSON texts, which a schema can only describe as strings.
_JSON_IN_URL = {"args", "kwargs", "/args", "/kwargs"}
#: Not every month has a 31st.
_CALENDAR = {"since"}


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]
) -> None:
    """Shorten valid waits to one second. Invalid values stay unchanged."""
    wait = (case.query or {}).get("wait")
    if isinstance(wait, str) and re.fullmatch(WAIT_FORM, wait):
        case.query["wait"] = "1s"
    spec = case.body.get("spec") if isinstance(case.body, dict) else None
    retry = spec.get("retry") if isinstance(spec, dict) else None
    if isinstance(retry, dict):
        _fit(retry)


def _fit(retry: dict[str, Any]) -> None:
    """Satisfy the one rule between two fields: the longest pause is not shorter than the first. The defaults
    are 5 and 300.
    """
    first, longest = retry.get("backoffSeconds"), retry.get("maxBackoffSeconds")
    first, longest = 5 if first is None else first, 300 if longest is None else longest
    if type(first) in (int, float) and type(longest) in (int, float) and first > longest:
        retry["maxBackoffSeconds"] = first


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext,
    failure: Failure,
    case: schemathesis.Case[Any],
    response: schemathesis.Response,
) -> bool:
    """Whether it is a failure, and not a rejection by a rule that a schema cannot express."""
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 422:
        return True
    problem = response.json()
    if problem["type"] == f"{_PROBLEMS}idempotency-key-reused":
        # It depends on earlier requests.
        return False
    named = {error.get("parameter", error.get("pointer")) for error in problem.get("errors", ())}
    known = _CALENDAR | (_JSON_IN_URL if case.operation.path == "/start" else set())
    return not (named and named <= known)
