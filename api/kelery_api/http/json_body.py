"""Reads a request's JSON body within limits on size, time and depth.

Bytes are counted as they arrive; Content-Length is not trusted. Invariants: the returned value can be walked
recursively, written as JSON and encoded without failing. No message contains an excerpt of the body.
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
#: Read and discarded beyond the limit: closing a connection with unread bytes would lose the response.
_DISCARDED_BYTES = 1024 * 1024
#: Two more than for arguments: the body and its `spec` contain them.
MAX_DEPTH = json_codec.MAX_ARGUMENT_DEPTH + 2
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
#: Fields that keep unpaired surrogates, because a replaced character would make another name.
_NAMES = (("spec", "task"), ("spec", "queue"), ("task",))
#: The number of digits of the largest double.
_MANY_DIGITS = re.compile(r"[0-9]{309}")
_LONGEST_KEY_SHOWN = 64


async def read_json(request: Request, *, optional: bool = False) -> Any:
    """The value of the body. None only if there is no body and it is `optional`. Raises Problem."""
    if optional and not has_body(request):
        return None
    _check_type(request, optional=optional)
    body = await _read(request)
    if optional and not body:
        return None
    value = parse(body)
    if value is None and optional:
        detail = "the body must be an object, not null; you can also send no body"
        raise Problem(Kind.INVALID_INPUT, detail, errors=[FieldProblem(pointer="", detail=detail)])
    return value


def parse(body: bytes) -> Any:
    """The value of a JSON text in UTF-8. Raises Problem."""
    text = _decode(body)
    try:
        value = _load(text)
    except json.JSONDecodeError as error:
        raise _not_json(f"{_what(error)} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise _too_deep(()) from None
    except ValueError:
        # Python's own limit on the digits of an integer.
        raise _not_json("a number has too many digits; send it as a string") from None
    _check_depth(value)
    return _without_surrogates(value) if _SURROGATE_ESCAPE.search(text) else value


def _load(text: str) -> Any:
    # A Python call for each integer is slow, and only one with many digits can be too large.
    return (_DECODER_OF_LARGE if _MANY_DIGITS.search(text) else _DECODER).decode(text)


def _check_type(request: Request, *, optional: bool) -> None:
    declared = request.headers.get("content-type")
    media_type = (declared or "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        way_out = ", or send no body" if optional else ""
        raise Problem(
            Kind.UNSUPPORTED_MEDIA_TYPE,
            f"the Content-Type must be application/json; set it{way_out}",
            headers={"Accept": "application/json"},
        )
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        raise Problem(
            Kind.UNSUPPORTED_MEDIA_TYPE, "Content-Encoding is not supported; send the body uncompressed"
        )


async def _read(request: Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read_all(request)
    except TimeoutError:
        raise Problem(
            Kind.REQUEST_TIMEOUT,
            f"the body took longer than {BODY_SECONDS:.0f} seconds",
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
            f"the body is larger than {MAX_BODY_BYTES} bytes; send a smaller one",
            # The rest of the body is not read, so the connection cannot be reused.
            headers={"Connection": "close"},
        )
    return bytes(body)


def _decode(body: bytes) -> str:
    if not body:
        raise _not_json("the JSON text is empty")
    if body.startswith(b"\xef\xbb\xbf"):
        raise _not_json("the JSON text begins with a byte order mark; remove it")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_json(f"the JSON text is not UTF-8 at byte {error.start}") from None


def _what(error: json.JSONDecodeError) -> str:
    # The parser's message is from a fixed list, such as "Expecting value".
    return error.msg[:1].lower() + error.msg[1:]


def _refuse_constant(constant: str) -> NoReturn:
    raise _not_json(f"{constant} is not JSON; send a finite number or null")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _not_json("a number is outside the range of a double; send it as a string")
    return value


def _within_double(text: str) -> int:
    """Other readers of JSON, such as the API server, convert integers beyond 64 bits to doubles."""
    value = int(text)
    try:
        float(value)
    except OverflowError:
        raise _not_json("a number is outside the range of a double; send it as a string") from None
    return value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Reject duplicate fields, because readers disagree about which value applies."""
    value = dict(pairs)
    if len(value) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        name = json.dumps(twice[:_LONGEST_KEY_SHOWN])
        raise _not_json(f"the field {name} occurs twice in one object; remove one of them")
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
    """Replace unpaired surrogates, which cannot be encoded, by U+FFFD, as the API server does.

    Names keep them, so that their validation rejects them.
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
    detail = f"lists and objects are nested too deeply; arguments can have at most {limit} levels"
    errors = [FieldProblem(pointer=json_pointer(path), detail=detail)]
    return Problem(Kind.INVALID_INPUT, detail, errors=errors)


# At the end, since they use the functions above. Created once, since json.loads creates one for each call.
_DECODER = json.JSONDecoder(
    parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_each_once
)
_DECODER_OF_LARGE = json.JSONDecoder(
    parse_constant=_refuse_constant,
    parse_float=_finite,
    parse_int=_within_double,
    object_pairs_hook=_each_once,
)
