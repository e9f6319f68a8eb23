"""URL and header parameters: their types for routes, and parsers for those with a format of their own.

A parser raises a `Problem` that names the parameter and the fix.
"""

from __future__ import annotations

import re
import time
from typing import Annotated

from fastapi import Header, Path, Query
from pydantic.json_schema import SkipJsonSchema

from kelery import timestamps
from kelery.errors import InvalidInput
from kelery.settings import NAMESPACE_NAME
from kelery_api.http.problems import Kind, Problem
from kelery_api.models import FieldProblem
from kelery_api.runs.listing import CURSOR_FORM, Cursor

WAIT_FORM = r"^([0-9]|[1-5][0-9]|60)s$"
SINCE_FORM = (
    r"^([1-9][0-9]{0,5}[smhd]|[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?Z)$"
)
IDEMPOTENCY_FORM = r"^[\x21-\x7e]{1,255}$"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

#: An optional parameter is omitted: a URL or a header cannot contain null.
OptionalText = str | SkipJsonSchema[None]
Namespace = Annotated[
    str,
    Path(
        description="The namespace of the runs.",
        json_schema_extra={"pattern": NAMESPACE_NAME.pattern},
        examples=["default"],
    ),
]
RunId = Annotated[
    str,
    Path(
        alias="id",
        description="The run's uid or name. A name refers to the live run, or to the newest if none is live.",
        examples=["report"],
    ),
]
Wait = Annotated[
    OptionalText,
    Query(
        description="Respond when the run has finished, or after this time (0s to 60s).",
        json_schema_extra={"pattern": WAIT_FORM},
        examples=["30s"],
    ),
]
IdempotencyKey = Annotated[
    OptionalText,
    Header(
        alias="Idempotency-Key",
        description="Makes the request safe to repeat: the same key and body return the same run, and another"
        " body is rejected. A key belongs to one user in one namespace, and is kept with the run's record.",
        json_schema_extra={"pattern": IDEMPOTENCY_FORM},
        examples=["7f3c1f0e"],
    ),
]
LastEventId = Annotated[
    OptionalText,
    Header(
        alias="Last-Event-ID",
        description="The ID of the last event received. The stream resumes after it.",
        json_schema_extra={"pattern": "^[0-9]{0,15}$"},
        examples=["3"],
    ),
]
PageSize = Annotated[
    int, Query(alias="limit", ge=1, le=500, description="The maximum number of items in a page.")
]
Continue = Annotated[
    OptionalText,
    Query(
        alias="continue",
        description="The `metadata.continue` of the previous page.",
        json_schema_extra={"pattern": CURSOR_FORM},
    ),
]
KeyContinue = Annotated[
    OptionalText,
    Query(alias="continue", description="The `metadata.continue` of the previous page.", max_length=253),
]
Since = Annotated[
    OptionalText,
    Query(
        description="Only runs submitted since this time in UTC, or since this age (s, m, h, d).",
        json_schema_extra={"pattern": SINCE_FORM},
        examples=["10m", "2026-11-22T18:00:00Z"],
    ),
]


def wait_seconds(text: str | None) -> int:
    """Seconds to wait; 0 without `wait`."""
    if text is None:
        return 0
    if not re.fullmatch(WAIT_FORM, text):
        raise refused("wait", "must be whole seconds from 0s to 60s, such as 30s")
    return int(text[:-1])


def since_microseconds(text: str | None) -> int:
    """Microseconds since the epoch; an age is relative to this machine's clock. 0 without `since`."""
    if text is None:
        return 0
    moment = timestamps.parse(text)
    if moment is None and re.fullmatch(SINCE_FORM, text) and text[-1] in _SECONDS:
        moment = int((time.time() - int(text[:-1]) * _SECONDS[text[-1]]) * 1_000_000)
    if moment is None:
        raise refused(
            "since", "must be a time such as 2026-11-22T18:00:00Z, or an age such as 90s, 10m or 1d"
        )
    return max(0, moment)


def cursor(text: str | None) -> Cursor | None:
    """The position where a list continues."""
    if text is None:
        return None
    try:
        return Cursor.decode(text)
    except ValueError:
        raise refused("continue", "must be the metadata.continue of the previous page, unchanged") from None


def idempotency_key(text: str | None) -> str | None:
    """The key, unchanged."""
    if text is not None and not re.fullmatch(IDEMPOTENCY_FORM, text):
        raise refused("Idempotency-Key", "must have 1 to 255 visible ASCII characters, such as a UUID")
    return text


def refused(parameter: str, detail: str) -> Problem:
    """The problem for one parameter."""
    errors = [FieldProblem(parameter=parameter, detail=detail)]
    return Problem(Kind.INVALID_INPUT, f"{parameter}: {detail}", errors=errors)


def refused_all(error: InvalidInput) -> Problem:
    """The problem for parameters that were parsed like the fields of a body."""
    errors = [FieldProblem(parameter=fault.field, detail=fault.problem) for fault in error.problems]
    return Problem(Kind.INVALID_INPUT, str(error), errors=errors)
