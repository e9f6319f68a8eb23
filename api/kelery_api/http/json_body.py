"""Reading a request's JSON body, within bounds that hold before anything is made of it.

Bytes are counted as they come, whatever Content-Length says. What is returned can be walked recursively,
written as JSON and encoded without failing; an excerpt of the body is in no message.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn

from starlette.requests import Request

from kelery import json_codec
from kelery.errors import FieldPath, json_pointer
from kelery_api.http.problems import Kind, Problem
from kelery_api.http.unknown_parameters import has_body
from kelery_api.models import FieldProblem

MAX_BODY_BYTES = 256 * 1024
BODY_SECONDS = 20.0
#: So much more is read and thrown away: a connection closed on bytes unread takes the answer with it.
_DISCARDED_BYTES = 1024 * 1024
#: The body and its `spec` stand around the arguments.
MAX_DEPTH = json_codec.MAX_ARGUMENT_DEPTH + 2
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
#: Names for which a replaced character would make another name.
_NAMES = (("spec", "task"), ("spec", "queue"), ("task",))
#: As many digits as the largest double has.
_MANY_DIGITS = re.compile(r"[0-9]{309}")
_LONGEST_KEY_SHOWN = 64


async def read_json(request: Request, *, optional: bool = False) -> Any:
    """The body's value; None only if it is absent and `optional`. Raises Problem."""
    if optional and not has_body(request):
        return None
    _check_type(request, optional=optional)
    body = await _read(request)
    if optional and not body:
        return None
    value = parse(body)
    if value is None and optional:
        detail = "must be an object, not null; or send no body"
        raise Problem(Kind.INVALID_INPUT, detail, errors=[FieldProblem(pointer="", detail=detail)])
    return value


def parse(body: bytes) -> Any:
    """The value of JSON in UTF-8. Raises Problem."""
    text = _decode(body)
    try:
        value = _load(text)
    except json.JSONDecodeError as error:
        raise _not_json(f"{_what(error)} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _too_deep(()) from None
    except ValueError:
        # Python's own bound on the digits of an integer.
        raise _not_json("a number has too many digits") from None
    _check_depth(value)
    return _without_surrogates(value) if _SURROGATE_ESCAPE.search(text) else value


def _load(text: str) -> Any:
    # A call for every integer costs; only one with many digits can be too large.
    return (_DECODER_OF_LARGE if _MANY_DIGITS.search(text) else _DECODER).decode(text)


def _check_type(request: Request, *, optional: bool) -> None:
    declared = request.headers.get("content-type")
    media_type = (declared or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        way_out = ", or no body" if optional else ""
        raise Problem(
            Kind.UNSUPPORTED_MEDIA_TYPE,
            f"send the body with Content-Type: application/json{way_out}",
            headers={"Accept": "application/json"},
        )
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        raise Problem(Kind.UNSUPPORTED_MEDIA_TYPE, "send the body without Content-Encoding")


async def _read(request: Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read_all(request)
    except TimeoutError:
        raise Problem(
            Kind.REQUEST_TIMEOUT,
            f"the body did not come within {BODY_SECONDS:.0f} seconds",
            headers={"Connection": "close"},
        ) from None


async def _read_all(request: Request) -> bytes:
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            body += chunk
        elif size > MAX_BODY_BYTES + _DISCARDED_BYTES:
            break
    if size > MAX_BODY_BYTES:
        raise Problem(
            Kind.BODY_TOO_LARGE,
            f"a body may have at most {MAX_BODY_BYTES} bytes",
            # There may be a rest that nobody reads, so the connection cannot be used again.
            headers={"Connection": "close"},
        )
    return bytes(body)


def _decode(body: bytes) -> str:
    if not body:
        raise _not_json("it is empty")
    if body.startswith(b"\xef\xbb\xbf"):
        raise _not_json("it begins with a byte order mark; send it without")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_json(f"it is not UTF-8 at byte {error.start}") from None


def _what(error: json.JSONDecodeError) -> str:
    # The parser's own words, which are from a fixed list; "Expecting value" and the like.
    return error.msg[:1].lower() + error.msg[1:]


def _refuse_constant(constant: str) -> NoReturn:
    raise _not_json(f"{constant} is not JSON; give a finite number or null")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _not_json("a number is beyond what a double can hold")
    return value


def _within_double(text: str) -> int:
    """Readers of JSON elsewhere, the API server for one, make a double of what is beyond 64 bits."""
    value = int(text)
    try:
        float(value)
    except OverflowError:
        raise _not_json("a number is beyond what a double can hold") from None
    return value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a field that is given twice, no two readers agree which one counts."""
    value = dict(pairs)
    if len(value) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise _not_json(f"the field {json.dumps(twice[:_LONGEST_KEY_SHOWN])} is given twice in one object")
    return value


def _check_depth(value: Any) -> None:
    if not json_codec.is_deeper_than(value, MAX_DEPTH):
        return
    for around in (("spec",), ()):
        fields = _at(value, around)
        for name in fields if isinstance(fields, Mapping) else ():
            if json_codec.is_deeper_than(fields[name], json_codec.MAX_ARGUMENT_DEPTH):
                raise _too_deep((*around, name))
    raise _too_deep(())


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _without_surrogates(value: Any) -> Any:
    """An unpaired surrogate is no character and cannot be encoded: read as U+FFFD, as the API server reads
    it. Not so in names, for whoever reads them to refuse.
    """
    mended = _load(_SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False)))
    for *around, name in _NAMES:
        sent = _at(value, (*around, name))
        if isinstance(sent, str):
            _at(mended, tuple(around))[name] = sent
    return mended


def _not_json(detail: str) -> Problem:
    return Problem(Kind.INVALID_JSON, detail)


def _too_deep(path: FieldPath) -> Problem:
    limit = json_codec.MAX_ARGUMENT_DEPTH
    detail = f"lists and objects may be nested {limit} levels deep in the arguments"
    errors = [FieldProblem(pointer=json_pointer(path), detail=detail)]
    return Problem(Kind.INVALID_INPUT, detail, errors=errors)


# At the end, for they are made of the above; made once, for json.loads makes one for each call.
_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_each_once
)
_DECODER_OF_LARGE = json.JSONDecoder(
    parse_constant=_refuse_constant,
    parse_float=_finite,
    parse_int=_within_double,
    object_pairs_hook=_each_once,
)
