"""Bodies stay within their limits, no matter what is sent."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message

from kelery_api.http import json_body
from kelery_api.http.json_body import MAX_BODY_BYTES, read_json
from kelery_api.http.problems import Kind, Problem

JSON = {"content-type": "application/json"}


class Sent:
    """A request whose body arrives in chunks. It counts the chunks that were read."""

    def __init__(self, *chunks: bytes, headers: dict[str, str] | None = None) -> None:
        self._chunks = list(chunks)
        self._all = len(chunks)
        headers = JSON if headers is None else headers
        self.request = Request(
            {
                "type": "http",
                "method": "POST",
                "path": "/",
                "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            },
            self._receive,
        )

    @property
    def taken(self) -> int:
        return self._all - len(self._chunks)

    async def _receive(self) -> Message:
        chunk = self._chunks.pop(0) if self._chunks else b""
        return {"type": "http.request", "body": chunk, "more_body": bool(self._chunks)}


def read(*chunks: bytes, optional: bool = False, headers: dict[str, str] | None = None) -> Any:
    if headers is None:
        headers = {**JSON, "content-length": str(sum(map(len, chunks)))}
    return asyncio.run(read_json(Sent(*chunks, headers=headers).request, optional=optional))


def refused(*chunks: bytes, **options: Any) -> Problem:
    with pytest.raises(Problem) as caught:
        read(*chunks, **options)
    return caught.value


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def test_a_value_is_read_across_chunks() -> None:
    assert read(b'{"a"', b": [1, 2.5,", b' "\xc3', b'\xa9"]}') == {"a": [1, 2.5, "é"]}


def test_integers_stay_exact() -> None:
    assert read(b"[9007199254740993, -170141183460469231731687303715884105728]") == [
        2**53 + 1,
        -(2**127),
    ]


@pytest.mark.parametrize("declared", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_is_accepted_with_media_type_parameters(declared: str) -> None:
    assert read(b"1", headers={"content-type": declared, "content-length": "1"}) == 1


@pytest.mark.parametrize(
    "declared", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"]
)
def test_another_media_type_is_rejected(declared: str | None) -> None:
    headers = (
        {"content-length": "2"} if declared is None else {"content-type": declared, "content-length": "2"}
    )
    assert refused(b"{}", headers=headers).kind is Kind.UNSUPPORTED_MEDIA_TYPE
    assert refused(b"{}", headers=headers, optional=True).kind is Kind.UNSUPPORTED_MEDIA_TYPE


def test_a_compressed_body_is_rejected() -> None:
    headers = {**JSON, "content-length": "2", "content-encoding": "gzip"}
    assert refused(b"{}", headers=headers).kind is Kind.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("headers", [{}, {"content-length": "0"}, {"content-type": "text/plain"}])
def test_an_optional_body_can_be_absent_with_any_media_type(headers: dict[str, str]) -> None:
    assert read(headers=headers, optional=True) is None


def test_an_optional_body_can_be_chunked_and_empty() -> None:
    assert read(b"", headers={**JSON, "transfer-encoding": "chunked"}, optional=True) is None


def test_null_is_not_an_absent_body() -> None:
    assert refused(b"null", optional=True).kind is Kind.INVALID_INPUT
    assert read(b"null") is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "empty"),
        (b'{"a": 1,\n "b": }', "line 2, column 7"),
        (b"{} {}", "line 1, column 4"),
        (b'{"secret-word', "line 1"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"[1e999]", "double"),
        (b"[" + b"9" * 5000 + b"]", "too many digits"),
        (b"[-1" + b"0" * 309 + b"]", "double"),
        (b'{"a": 1, "b": [{"c": 1, "d": 2, "c": 1}]}', 'the field "c" occurs twice'),
        (rb'{"a": 1, "\u0061": 2}', 'the field "a" occurs twice'),
        (rb'{"\ud800": 1, "\udc00": 2}', 'the field "\\ufffd" occurs twice'),
        (b'{"' + b"x" * 5000 + b'": 1, "' + b"x" * 5000 + b'": 2}', f'the field "{"x" * 64}" occurs twice'),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ('{"a": "é"}'.encode("latin-1"), "not UTF-8 at byte 7"),
        ("{}".encode("utf-16"), "not UTF-8"),
    ],
)
def test_invalid_json_is_rejected_with_its_position_and_no_excerpt(body: bytes, said: str) -> None:
    problem = refused(body)
    assert problem.kind is Kind.INVALID_JSON
    assert said in problem.detail
    assert "secret-word" not in problem.detail


def test_the_largest_body_is_accepted() -> None:
    body = b'"' + b"x" * (MAX_BODY_BYTES - 2) + b'"'
    assert read(body, headers=JSON) == "x" * (MAX_BODY_BYTES - 2)


def test_one_byte_more_is_rejected_without_a_content_length() -> None:
    half = b"x" * (MAX_BODY_BYTES // 2)
    assert (
        refused(half, half, b"x", headers={**JSON, "transfer-encoding": "chunked"}).kind
        is Kind.BODY_TOO_LARGE
    )


def test_an_endless_body_is_not_read_to_its_end() -> None:
    sent = Sent(*[b"x" * 65536] * 1000)
    with pytest.raises(Problem) as caught:
        asyncio.run(read_json(sent.request))
    assert caught.value.kind is Kind.BODY_TOO_LARGE
    assert caught.value.headers["Connection"] == "close"
    assert sent.taken < 30


def test_a_body_that_does_not_arrive_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def receive() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    monkeypatch.setattr(json_body, "BODY_SECONDS", 0.05)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"10")]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)
    with pytest.raises(Problem) as caught:
        asyncio.run(read_json(request))
    assert caught.value.kind is Kind.REQUEST_TIMEOUT
    assert caught.value.headers["Connection"] == "close"


@pytest.mark.parametrize("levels", [1000, 100_000])
def test_a_depth_bomb_is_rejected_before_it_is_walked(levels: int) -> None:
    problem = refused(nested(levels))
    assert (problem.kind, problem.errors[0]["pointer"]) == (Kind.INVALID_INPUT, "")


@pytest.mark.parametrize(
    "around", [b'{"spec": {"task": "t", "args": %s}}', b'{"spec": {"kwargs": {"a": %s}}}']
)
def test_arguments_can_be_nested_32_levels_deep(around: bytes) -> None:
    inside = 31 if b"kwargs" in around else 32
    assert read(around % nested(inside))
    problem = refused(around % nested(inside + 1))
    pointer = "/spec/kwargs" if b"kwargs" in around else "/spec/args"
    assert (problem.kind, problem.errors[0]["pointer"]) == (Kind.INVALID_INPUT, pointer)


def test_unpaired_surrogates_are_replaced_as_the_api_server_does() -> None:
    value = read(rb'{"a\ud800": ["\udc00x", "\ud83d\ude00", 9007199254740993]}')
    assert value == {"a\ufffd": ["\ufffdx", "\U0001f600", 2**53 + 1]}
    json.dumps(value, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "body",
    [rb'{"spec": {"task": "\ud800", "queue": "q\udc00"}}', rb'{"task": "t\udfff"}'],
)
def test_unpaired_surrogates_in_names_stay_for_validation_to_reject(body: bytes) -> None:
    assert read(body) == json.loads(body)


def test_an_integer_is_exact_within_the_range_of_a_double() -> None:
    largest = int(sys.float_info.max)
    assert read(b"[%d, -%d]" % (largest, largest)) == [largest, -largest]
