"""What schemathesis has to be told beyond the OpenAPI document: loaded by its command through
SCHEMATHESIS_HOOKS.

Waits are made short, pauses of a retry are made to fit each other, and a refusal is right where the document
cannot say the rule. Each such rule is known by what the refusal names: any other refusal is still a failure.
"""

from __future__ import annotations

import re
from typing import Any

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData

from kelery_api.routes.parameters import WAIT_FORM

_PROBLEMS = "https://kelery.dev/problems/"
#: The parameters of /start are JSON in a string, of which a schema can only say that it is a string.
_JSON_IN_URL = {"args", "kwargs", "/args", "/kwargs"}
#: Not every month has a 31st.
_CALENDAR = {"since"}


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]
) -> None:
    """Wait a second where up to sixty are asked for. What is wrong by the document stays as it is."""
    wait = (case.query or {}).get("wait")
    if isinstance(wait, str) and re.fullmatch(WAIT_FORM, wait):
        case.query["wait"] = "1s"
    spec = case.body.get("spec") if isinstance(case.body, dict) else None
    retry = spec.get("retry") if isinstance(spec, dict) else None
    if isinstance(retry, dict):
        _fit(retry)


def _fit(retry: dict[str, Any]) -> None:
    """The one rule between two fields: the longest pause is no shorter than the first. Absent, they are 5 and
    300.
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
    """Whether it is one: not if good data were refused by a rule that no schema can say."""
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 422:
        return True
    problem = response.json()
    if problem["type"] == f"{_PROBLEMS}idempotency-key-reused":
        # It depends on what was sent before.
        return False
    named = {error.get("parameter", error.get("pointer")) for error in problem.get("errors", ())}
    known = _CALENDAR | (_JSON_IN_URL if case.operation.path == "/start" else set())
    return not (named and named <= known)
