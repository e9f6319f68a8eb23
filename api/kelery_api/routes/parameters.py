"""Parameters of URLs and headers: their types for routes, and the reading of those with a form of their own.

What is refused is a `Problem` that names the parameter and the fix.
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

#: An absent parameter is left out; there is no way to write null into a URL or a header.
OptionalText = str | SkipJsonSchema[None]
Namespace = Annotated[
    str,
    Path(
        description="A namespace.",
        json_schema_extra={"pattern": NAMESPACE_NAME.pattern},
        examples=["default"],
    ),
]
RunId = Annotated[
    str,
    Path(
        alias="id",
        description="The run's uid, or its name; of several runs with one name, the newest.",
        examples=["report"],
    ),
]
Wait = Annotated[
    OptionalText,
    Query(
        description="Answer when the run has ended, or after this long: 0s to 60s.",
        json_schema_extra={"pattern": WAIT_FORM},
        examples=["30s"],
    ),
]
IdempotencyKey = Annotated[
    OptionalText,
    Header(
        alias="Idempotency-Key",
        description="The same key with the same body gives the same run, however often it is sent; with"
        " another body it is refused. Yours alone, per namespace, for as long as the run's record is kept.",
        json_schema_extra={"pattern": IDEMPOTENCY_FORM},
        examples=["7f3c1f0e"],
    ),
]
LastEventId = Annotated[
    OptionalText,
    Header(
        alias="Last-Event-ID",
        description="The id of the last event that was seen; the stream goes on behind it.",
        json_schema_extra={"pattern": "^[0-9]{0,15}$"},
        examples=["3"],
    ),
]
PageSize = Annotated[int, Query(alias="limit", ge=1, le=500, description="The most items of a page.")]
Continue = Annotated[
    OptionalText,
    Query(
        alias="continue",
        description="`metadata.continue` of the page before.",
        json_schema_extra={"pattern": CURSOR_FORM},
    ),
]
KeyContinue = Annotated[
    OptionalText,
    Query(alias="continue", description="`metadata.continue` of the page before.", max_length=253),
]
Since = Annotated[
    OptionalText,
    Query(
        description="Only runs that were submitted since: a moment in UTC, or how long ago (s, m, h, d).",
        json_schema_extra={"pattern": SINCE_FORM},
        examples=["10m", "2026-11-22T18:00:00Z"],
    ),
]


def wait_seconds(text: str | None) -> int:
    """How long to wait; 0 if not at all."""
    if text is None:
        return 0
    if not re.fullmatch(WAIT_FORM, text):
        raise refused("wait", "give whole seconds from 0s to 60s, such as 30s")
    return int(text[:-1])


def since_microseconds(text: str | None) -> int:
    """The moment that is meant, by this machine's clock if it is said as an age."""
    if text is None:
        return 0
    moment = timestamps.parse(text)
    if moment is None and re.fullmatch(SINCE_FORM, text) and text[-1] in _SECONDS:
        moment = int((time.time() - int(text[:-1]) * _SECONDS[text[-1]]) * 1_000_000)
    if moment is None:
        raise refused("since", "give a moment such as 2026-11-22T18:00:00Z, or an age such as 90s, 10m or 1d")
    return max(0, moment)


def cursor(text: str | None) -> Cursor | None:
    """Where a list goes on."""
    if text is None:
        return None
    try:
        return Cursor.decode(text)
    except ValueError:
        raise refused("continue", "give metadata.continue of the page before, unchanged") from None


def idempotency_key(text: str | None) -> str | None:
    """The key, as it was sent."""
    if text is not None and not re.fullmatch(IDEMPOTENCY_FORM, text):
        raise refused("Idempotency-Key", "give 1 to 255 visible ASCII characters, such as a UUID")
    return text


def refused(parameter: str, detail: str) -> Problem:
    """The problem of one parameter."""
    errors = [FieldProblem(parameter=parameter, detail=detail)]
    return Problem(Kind.INVALID_INPUT, f"{parameter}: {detail}", errors=errors)


def refused_all(error: InvalidInput) -> Problem:
    """The problem of parameters that were read as the fields of a body."""
    errors = [FieldProblem(parameter=fault.field, detail=fault.problem) for fault in error.problems]
    return Problem(Kind.INVALID_INPUT, str(error), errors=errors)
